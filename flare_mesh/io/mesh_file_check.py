"""Checks of mesh files that are not trusted, before their readers see them."""

import math
import re
from functools import lru_cache
from pathlib import Path

import h5py

from flare_mesh.io.arrays import HDF5_ERRORS, MAX_BYTES
from flare_mesh.io.external_references import (
    check_hdf5_tree,
    check_xdmf_values,
    check_xml_prolog,
    referenced_files,
    resolve_below,
)
from flare_mesh.io.mesh_formats import (
    REFERENCING_SUFFIXES,
    XDMF_SUFFIXES,
    XML_SUFFIXES,
    mesh_format,
)

# Counts by which readers allocate memory before they read a value.
_DECLARED = re.compile(
    rb"""NumberOf(?:Points|Cells|Verts|Lines|Strips|Polys|Tuples)\s*=\s*["'](\d+)"""
    rb"""|^(?:POINTS|CELLS|POLYGONS|POINT_DATA|CELL_DATA)\s+(\d+)"""
    rb"""|^element\s+\w+\s+(\d+)"""
    rb"""|Dimensions\s*=\s*["']([\d ]+)["']""",
    re.MULTILINE,
)
_HEAD = 1 << 20
_MAX_DIGITS = 20  # of a 64-bit count
_XML = (*XML_SUFFIXES, ".vti", ".vtr", ".vts")  # raw bytes may follow their first tag
_HDF5 = (".med", ".cgns", ".e", ".exo")  # the last three also exist in other formats


def check_mesh_file(path: str | Path, *, max_bytes: int = MAX_BYTES) -> None:
    """Refuse a mesh file that refers to files outside its folder, or declares too much data.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If its format is unknown; if it declares arrays of more than ``max_bytes``,
            defines XML entities, or refers to files outside its folder.
    """
    path = Path(path)
    if path.suffix.lower() in XDMF_SUFFIXES and path.is_file():
        stat = path.stat()
        _check_once(path, max_bytes, stat.st_size, stat.st_mtime_ns)
    else:
        _check(path, max_bytes, set())


@lru_cache(maxsize=1)
def _check_once(path: Path, max_bytes: int, *state: int) -> None:
    """Check a series, which is read step by step, again only when its ``state`` changes."""
    _check(path, max_bytes, set())


def _check(path: Path, max_bytes: int, checked: set[Path]) -> None:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; give the path of a mesh file")
    checked.add(path.resolve())
    suffix = path.suffix.lower()
    own_check = None if suffix == ".pvd" else mesh_format(path).function("check")
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if suffix == ".ply" and not re.search(rb"^end_header\s*$", head, re.MULTILINE):
        raise ValueError(f"{path}: cannot be read as a mesh (its PLY header does not end)")
    _check_declared(path, head, max_bytes)
    if suffix in _XML and head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        check_xml_prolog(path)
    if suffix in _HDF5 and h5py.is_hdf5(path):
        try:
            check_hdf5_tree(path, max_bytes, together=suffix == ".med")
        except HDF5_ERRORS as error:
            text = str(error)
            raise ValueError(text if str(path) in text else f"{path}: damaged ({text})") from error
    if suffix in REFERENCING_SUFFIXES:
        for name in referenced_files(path):
            target = resolve_below(path.parent, name, path)
            # The file that it refers to may refer to others.
            is_collection = target.suffix.lower() in REFERENCING_SUFFIXES and target.is_file()
            if is_collection and target not in checked:
                _check(target, max_bytes, checked)
    if suffix in XDMF_SUFFIXES:
        check_xdmf_values(path, max_bytes)
    if own_check is not None:
        own_check(path, max_bytes)


def _check_declared(path: Path, head: bytes, max_bytes: int) -> None:
    for match in _DECLARED.finditer(head):
        text = next(group for group in match.groups() if group is not None)
        numbers = text.split()
        too_long = max(map(len, numbers), default=0) > _MAX_DIGITS
        # Readers allocate at least a point of three 8-byte numbers for each entry.
        if too_long or 24 * math.prod(map(int, numbers)) > max_bytes:
            raise ValueError(
                f"{path}: declares {text[:60].decode()} entries, more than the limit of "
                f"{max_bytes:,} bytes; if the file is to be trusted, raise max_bytes"
            )
