"""Which mesh files can be read and written, and what they must not do."""

import math
import re
from pathlib import Path

import h5py

from flare_mesh.files import check_folder
from flare_mesh.io.arrays import HDF5_ERRORS, MAX_BYTES
from flare_mesh.io.mesh_references import (
    REFERENCING_SUFFIXES,
    XDMF_SUFFIXES,
    check_hdf5_tree,
    check_prolog,
    check_xdmf_values,
    inside,
    referenced_files,
)

XML_SUFFIXES = (".vtu", ".vtp")
"""VTK's XML formats of one mesh, read by :class:`~flare_mesh.io.vtk_xml.VTKXMLFile`."""

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

# Counts that readers allocate by, before a value is read.
_DECLARED = re.compile(
    rb"""NumberOf(?:Points|Cells|Verts|Lines|Strips|Polys|Tuples)\s*=\s*["'](\d+)"""
    rb"""|^(?:POINTS|CELLS|POLYGONS|POINT_DATA|CELL_DATA)\s+(\d+)"""
    rb"""|^element\s+\w+\s+(\d+)"""
    rb"""|Dimensions\s*=\s*["']([\d ]+)["']""",
    re.MULTILINE,
)
_HEAD = 1 << 20
_DIGITS = 20  # no count that is meant has more
_XML = (*XML_SUFFIXES, ".vti", ".vtr", ".vts")  # after their first tag they may hold raw bytes
_HDF5 = (".med", ".cgns", ".e", ".exo")  # the last three also exist in formats of their own


def check_mesh_file(path: str | Path, *, max_bytes: int = MAX_BYTES) -> None:
    """Refuses a mesh file that would read outside of its folder, or declares too much.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If its format is not known; if it declares arrays of more than ``max_bytes``,
            defines XML entities, or names files outside of its folder.
    """
    _check(Path(path), max_bytes, set())


def _check(path: Path, max_bytes: int, seen: set[Path]) -> None:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; give the path of a mesh file")
    seen.add(path.resolve())
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
    _check_declared(path, head, max_bytes)
    if suffix in _XML and head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        check_prolog(path)
    if suffix == ".inp":
        _check_abaqus(path)
    if suffix in _HDF5 and h5py.is_hdf5(path):
        try:
            check_hdf5_tree(path, max_bytes, together=suffix == ".med")
        except HDF5_ERRORS as error:
            text = str(error)
            raise ValueError(text if str(path) in text else f"{path}: damaged ({text})") from error
    if suffix in REFERENCING_SUFFIXES:
        for name in referenced_files(path):
            target = inside(path.parent, name, path)
            # What it names may name others in turn.
            names_more = target.suffix.lower() in REFERENCING_SUFFIXES and target.is_file()
            if names_more and target not in seen:
                _check(target, max_bytes, seen)
    if suffix in XDMF_SUFFIXES:
        check_xdmf_values(path, max_bytes)


def _check_declared(path: Path, head: bytes, max_bytes: int) -> None:
    for match in _DECLARED.finditer(head):
        text = next(group for group in match.groups() if group is not None)
        numbers = text.split()
        # The smallest thing that is kept for each is a point of three numbers of 8 bytes.
        if max(map(len, numbers), default=0) > _DIGITS or (
            24 * math.prod(map(int, numbers)) > max_bytes
        ):
            raise ValueError(
                f"{path}: declares {text[:60].decode()} entries, more than the limit of "
                f"{max_bytes:,} bytes; if the file is to be trusted, raise max_bytes"
            )


def _check_abaqus(path: Path) -> None:
    # As meshio takes a keyword; it would look for the file in the working directory first.
    with path.open(errors="replace") as file:
        for line in file:
            keyword = line.partition(",")[0].strip().replace("*", "").strip()
            if keyword.upper() == "INCLUDE":
                raise ValueError(
                    f"{path}: includes another file, which is not read; put all into one file"
                )


def check_writable(path: str | Path) -> None:
    """Refuses a path that a mesh could not be written to.

    Raises:
        ValueError: If the suffix is not one of ``WRITABLE_SUFFIXES``.
        NotADirectoryError: If a file stands where a folder should.
    """
    path = Path(path)
    if path.suffix.lower() not in WRITABLE_SUFFIXES:
        raise ValueError(f"{path}: expected a name that ends in {' or '.join(WRITABLE_SUFFIXES)}")
    check_folder(path)
