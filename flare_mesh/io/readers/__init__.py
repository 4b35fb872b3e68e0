"""Readers of mesh files; ``MESH_FORMATS`` of ``flare_mesh.io.mesh_formats`` lists them."""
