"""Mesh file formats that can be read and written."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from flare_mesh.files import check_folder

_READERS = "flare_mesh.io.readers"


@dataclass(frozen=True)
class MeshFormat:
    """A mesh file format that can be read.

    Attributes:
        name: The format, or the programs that write it.
        suffixes: Suffixes of its files, in lower case.
        reader: ``"module:function"`` of ``read(path, step, max_bytes)``, which returns a
            :class:`meshio.Mesh` or the arrays of :func:`~flare_mesh.mesh.vtk_arrays.vtk_arrays`.
        times: ``"module:function"`` that gives the time of each step of a file; None if the format
            has no time steps.
        check: ``"module:function"`` of ``check(path, max_bytes)``, which refuses a damaged file
            before its reader runs; None if the reader does so.
    """

    name: str
    suffixes: tuple[str, ...]
    reader: str
    times: str | None = None
    check: str | None = None

    def function(self, kind: str) -> Callable[..., Any] | None:
        """Import the function ``"reader"``, ``"times"`` or ``"check"``; None if there is none."""
        place = getattr(self, kind)
        return None if place is None else resolve_name(f"{_READERS}.{place}")


MESH_FORMATS = (
    MeshFormat("VTK XML", (".vtu", ".vtp"), "vtk:read_vtk_xml"),
    MeshFormat(
        "VTK XML grids", (".vti", ".vtr", ".vts"), "vtk:read_vtk", check="vtk:check_vtk_xml_end"
    ),
    MeshFormat(
        "VTK XML collections",
        (".vtm", ".pvtu"),
        "vtk_collection:read_vtk_collection",
        check="vtk:check_vtk_xml_end",
    ),
    MeshFormat("legacy VTK", (".vtk",), "legacy_vtk:read_legacy_vtk"),
    MeshFormat("CGNS", (".cgns",), "cgns:read_cgns", times="cgns:cgns_times"),
    MeshFormat(
        "EnSight", (".case", ".encas"), "ensight:read_ensight", times="ensight:ensight_times"
    ),
    MeshFormat("Exodus", (".e", ".exo"), "exodus:read_exodus", times="exodus:exodus_times"),
    MeshFormat("XDMF", (".xdmf", ".xmf"), "xdmf:read_xdmf", times="xdmf:xdmf_times"),
    MeshFormat("Gmsh, Fluent", (".msh",), "msh:read_msh", times="msh:msh_times"),
    MeshFormat("Fluent", (".cas",), "fluent:read_fluent"),
    MeshFormat("Abaqus, CalculiX", (".inp",), "abaqus:read_abaqus"),
    MeshFormat("Nastran", (".bdf", ".nas", ".fem"), "nastran:read_nastran"),
    MeshFormat("MED", (".med",), "med:read_med", times="med:med_times"),
    MeshFormat("I-deas universal", (".unv",), "unv:read_unv"),
    MeshFormat("SU2", (".su2",), "su2:read_su2"),
    MeshFormat("PLY", (".ply",), "ply:read_ply"),
    MeshFormat("STL", (".stl",), "stl:read_stl"),
    MeshFormat("Wavefront OBJ", (".obj",), "obj:read_obj"),
)
"""All formats that :func:`~flare_mesh.io.read_mesh` reads."""

_BY_SUFFIX = {suffix: one for one in MESH_FORMATS for suffix in one.suffixes}

READABLE_SUFFIXES = tuple(_BY_SUFFIX)
"""Suffixes of the files that can be read."""

XML_SUFFIXES = (".vtu", ".vtp")
"""VTK's XML formats of one mesh, read by :class:`~flare_mesh.io.vtk_xml.VTKXMLFile`."""

WRITABLE_SUFFIXES = (".vtu", ".vtk", ".vtp", ".xdmf", ".msh", ".inp", ".ply", ".stl")
"""Formats that are written as one file; ``.vtp``, ``.ply`` and ``.stl`` hold surfaces only."""

XDMF_SUFFIXES = (".xdmf", ".xmf")
ENSIGHT_SUFFIXES = (".case", ".encas")
REFERENCING_SUFFIXES = (".pvtu", ".vtm", ".pvd", *XDMF_SUFFIXES, *ENSIGHT_SUFFIXES)
"""Formats whose text refers to other files."""

GMSH_TAG = "gmsh:physical"
"""Cell field of Gmsh's physical groups, the only field that ``.msh`` files hold."""


def mesh_format(path: str | Path) -> MeshFormat:
    """The format of a file by its suffix.

    Raises:
        ValueError: If the suffix is not one of ``READABLE_SUFFIXES``.
    """
    suffix = Path(path).suffix.lower()
    found = _BY_SUFFIX.get(suffix)
    if found is None:
        foam = "convert the case by foamToVTK; " if suffix in (".foam", ".openfoam") else ""
        raise ValueError(
            f"{path}: not a mesh format that can be read; {foam}expected one of "
            f"{', '.join(READABLE_SUFFIXES)}"
        )
    return found


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
