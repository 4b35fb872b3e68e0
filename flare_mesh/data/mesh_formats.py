"""Which mesh files can be read and written, and what they must not do."""

import math
import re
from pathlib import Path

from flare_mesh.data.arrays import MAX_BYTES

XML_SUFFIXES = (".vtu", ".vtp")
"""VTK's XML formats of one mesh, read by :class:`~flare_mesh.data.vtk_xml.VTKXMLFile`."""

VTK_SUFFIXES = (
    *(".vti", ".vtr", ".vts", ".vtm", ".pvtu"),
    *(".vtk", ".cgns", ".case", ".encas", ".e", ".exo"),
)
"""Read by PyVista in a process of its own: VTK's readers may crash on a damaged file."""

MESHIO_SUFFIXES = (
    *(".xdmf", ".xmf", ".msh", ".inp", ".bdf", ".nas", ".fem", ".med", ".unv", ".su2"),
    *(".ply", ".stl", ".obj"),
)
"""Read by meshio."""

READABLE_SUFFIXES = (*XML_SUFFIXES, *VTK_SUFFIXES, *MESHIO_SUFFIXES)

WRITABLE_SUFFIXES = (".vtu", ".vtk", ".vtp", ".xdmf", ".msh", ".inp", ".ply", ".stl")
"""Formats of one file. ``.vtp``, ``.ply`` and ``.stl`` hold surfaces."""

# Formats whose text names other files.
_REFERENCING = (".pvtu", ".vtm", ".pvd", ".xdmf", ".xmf", ".case", ".encas")
_REFERENCE = re.compile(
    r"""(?:Source|file|href)\s*=\s*["']([^"']+)["']"""  # VTK's XML, XInclude
    r"""|>\s*([^<>:\s][^<>]*\.(?:h5|hdf5|xmf|bin|xdmf))\s*(?::[^<>]*)?<"""  # XDMF's data items
    r"""|^\s*(?:model|measured|match|boundary|(?:scalar|vector|tensor)[^:\n]*):\s*(.+?)\s*$""",
    re.MULTILINE | re.IGNORECASE,
)
# Counts that readers allocate by, before a value is read.
_DECLARED = re.compile(
    rb"""NumberOf(?:Points|Cells|Verts|Lines|Strips|Polys|Tuples)\s*=\s*["'](\d+)"""
    rb"""|^(?:POINTS|CELLS|POLYGONS|POINT_DATA|CELL_DATA)\s+(\d+)"""
    rb"""|^element\s+\w+\s+(\d+)"""
    rb"""|Dimensions\s*=\s*["']([\d ]+)["']""",
    re.MULTILINE,
)
_HEAD = 1 << 20


def check_mesh_file(path: str | Path, *, max_bytes: int = MAX_BYTES) -> None:
    """Refuses a mesh file that would read outside of its folder, or declares too much.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If its format is not known; if it declares arrays of more than ``max_bytes``,
            defines XML entities, or names files outside of its folder.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; give the path of a mesh file")
    suffix = path.suffix.lower()
    if suffix not in (*READABLE_SUFFIXES, ".pvd"):
        raise ValueError(
            f"{path}: not a mesh format that can be read; expected one of "
            f"{', '.join(READABLE_SUFFIXES)}"
        )
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if suffix == ".ply" and not re.search(rb"^end_header\s*$", head, re.MULTILINE):
        raise ValueError(f"{path}: cannot be read as a mesh (no header of a PLY file that ends)")
    if b"<!DOCTYPE" in head or b"<!ENTITY" in head:
        raise ValueError(f"{path}: defines XML entities, which mesh files do not need")
    for match in _DECLARED.finditer(head):
        text = next(group for group in match.groups() if group is not None)
        # The smallest thing that is kept for each is a point of three numbers of 8 bytes.
        declared = 24 * math.prod(int(number) for number in text.split())
        if declared > max_bytes:
            raise ValueError(
                f"{path}: declares {text.decode()} entries, more than the limit of "
                f"{max_bytes:,} bytes; if the file is to be trusted, raise max_bytes"
            )
    if suffix in _REFERENCING:
        for name in referenced_files(path):
            inside(path.parent, name, path)


def referenced_files(path: Path) -> list[str]:
    """Names of the files that a file of XML or EnSight names, as it names them."""
    found = _REFERENCE.findall(path.read_text(errors="replace"))
    # EnSight has numbers of time and file sets before the name.
    return [next(name for name in names if name).split()[-1] for names in found]


def inside(root: Path, name: str, named_by: Path) -> Path:
    """The path of ``name`` below ``root``.

    Raises:
        ValueError: If it leaves ``root``.
    """
    target = (root / name).resolve()
    if not target.is_relative_to(root.resolve()):
        raise ValueError(f"{named_by}: names '{name}', which is outside of {root}")
    return target


def check_writable(path: str | Path) -> None:
    """Refuses a path that a mesh could not be written to.

    Raises:
        ValueError: If the suffix is not one of ``WRITABLE_SUFFIXES``.
        NotADirectoryError: If a file stands where a folder should.
    """
    from flare_mesh.files import check_folder

    path = Path(path)
    if path.suffix.lower() not in WRITABLE_SUFFIXES:
        raise ValueError(f"{path}: expected a name that ends in {' or '.join(WRITABLE_SUFFIXES)}")
    check_folder(path)
