"""Triangulated surfaces from CAD files: STL, PLY, OBJ, OFF, 3MF and STEP."""
