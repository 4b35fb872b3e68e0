"""Mesh file formats that can be read and written."""

from pathlib import Path

from flare_mesh.files import check_folder

XML_SUFFIXES = (".vtu", ".vtp")
"""VTK's XML formats of one mesh, read by :class:`~flare_mesh.io.vtk_xml.VTKXMLFile`."""

VTK_SUFFIXES = (
    *(".vti", ".vtr", ".vts", ".vtm", ".pvtu"),
    *(".vtk", ".cgns", ".case", ".encas", ".e", ".exo"),
)
"""Formats read by PyVista in the reader process."""

MESHIO_SUFFIXES = (
    *(".xdmf", ".xmf", ".msh", ".inp", ".bdf", ".nas", ".fem", ".med", ".unv", ".su2"),
    *(".ply", ".stl", ".obj"),
)
"""Formats read by meshio."""

READABLE_SUFFIXES = (*XML_SUFFIXES, *VTK_SUFFIXES, *MESHIO_SUFFIXES)

WRITABLE_SUFFIXES = (".vtu", ".vtk", ".vtp", ".xdmf", ".msh", ".inp", ".ply", ".stl")
"""Formats that are written as one file; ``.vtp``, ``.ply`` and ``.stl`` hold surfaces only."""

XDMF_SUFFIXES = (".xdmf", ".xmf")
ENSIGHT_SUFFIXES = (".case", ".encas")
REFERENCING_SUFFIXES = (".pvtu", ".vtm", ".pvd", *XDMF_SUFFIXES, *ENSIGHT_SUFFIXES)
"""Formats whose text refers to other files."""

GMSH_TAG = "gmsh:physical"
"""Cell field of Gmsh's physical groups, the only field that ``.msh`` files hold."""


def check_writable(path: str | Path) -> None:
    """Refuse a path that a mesh cannot be written to.

    Raises:
        ValueError: If the suffix is not one of ``WRITABLE_SUFFIXES``.
        NotADirectoryError: If a parent of the path is a file.
    """
    path = Path(path)
    if path.suffix.lower() not in WRITABLE_SUFFIXES:
        raise ValueError(f"{path}: expected a name that ends in {' or '.join(WRITABLE_SUFFIXES)}")
    check_folder(path)
