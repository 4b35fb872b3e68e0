"""References of mesh files to other files."""

from pathlib import Path
from typing import Any
from xml.parsers import expat

import h5py
import h5py.h5o
import numpy as np

from flare_mesh.io.arrays import check_ratio, check_size, hdf5_dataset, open_hdf5
from flare_mesh.io.mesh_formats import ENSIGHT_SUFFIXES, XDMF_SUFFIXES

_MAX_NAME = 255  # of a file on usual systems
_ATTRIBUTES = {"source", "file", "href"}  # of VTK and XInclude
_GEOMETRY = {"model", "measured", "match", "boundary"}
_VARIABLES = ("scalar", "vector", "tensor", "complex")


def referenced_files(path: Path) -> list[str]:
    """Names of other files in an XML or EnSight file, as they are written there.

    Raises:
        ValueError: If it is not whole XML, defines entities, or refers to values that are not read.
    """
    if path.suffix.lower() in ENSIGHT_SUFFIXES:
        return _ensight_names(path)
    return [name for name, _ in _xml_names(path)[0]]


def resolve_below(root: Path, name: str, named_by: Path) -> Path:
    """Resolve a file name in the file ``named_by`` to a path below ``root``.

    Raises:
        ValueError: If the path is outside ``root``.
    """
    if max(map(len, name.split("/"))) > _MAX_NAME:
        raise ValueError(f"{named_by}: refers to '{name[:60]} ...', which is too long for a name")
    try:
        target = (root / name).resolve()
    except (ValueError, OSError, RuntimeError) as error:
        raise ValueError(f"{named_by}: refers to {name!r}, which is no path ({error})") from error
    if not target.is_relative_to(root.resolve()):
        raise ValueError(f"{named_by}: refers to '{name}', which is outside {root}")
    return target


def check_xml_prolog(path: Path) -> None:
    """Refuse an XML file that defines entities, reading it up to its first tag only.

    Raises:
        ValueError: If it defines entities, or does not begin as XML.
    """

    def first(*_: Any) -> None:
        raise StopIteration

    try:
        _run(path, _parser(path, first, None))
    except StopIteration:
        return


def check_xdmf_values(path: Path, max_bytes: int) -> None:
    """Refuse HDF5 values of an XDMF file that are stored elsewhere, or too many for one mesh.

    Raises:
        ValueError: If values are outside the folder, or one mesh has more than ``max_bytes``.
    """
    named, grids = _xml_names(path)
    by_file: dict[str, list[str]] = {}
    for name, place in named:
        by_file.setdefault(name, []).append(place)
    total = 0
    for name, places in by_file.items():
        target = resolve_below(path.parent, name, path)
        if not target.is_file():
            continue
        with open_hdf5(target) as file:
            for place in places:
                data = hdf5_dataset(file, place)
                # The meshes of a collection are read one at a time.
                total = data.nbytes + (total if grids == 1 else 0)
                check_size(f"{path}, '{name}:{place}'", (total,), np.dtype("u1"), max_bytes)
                check_ratio(f"{path}, '{name}:{place}'", total, target.stat().st_size)


def check_hdf5_tree(path: Path, max_bytes: int, *, together: bool) -> None:
    """Refuse an HDF5 file with links, values in other files, or too large data sets.

    ``max_bytes`` limits the bytes that a data set declares, or, if ``together``, their sum.

    Raises:
        ValueError: If the file has such a data set or link, or is damaged.
    """
    total, seen = 0, set()
    with open_hdf5(path) as file:
        groups: list[Any] = [file]
        while groups:
            group = groups.pop()
            for name in group:
                place = f"{path}, '{group.name.rstrip('/')}/{name}'"
                if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                    raise ValueError(f"{place}: is a link, which is not followed")
                item = group[name]
                address = h5py.h5o.get_info(item.id).addr
                if address in seen:
                    continue
                seen.add(address)
                if isinstance(item, h5py.Group):
                    groups.append(item)
                elif isinstance(item, h5py.Dataset):
                    if item.external or item.is_virtual:
                        raise ValueError(
                            f"{place}: its values are stored in another file, which is not read"
                        )
                    total = (item.nbytes or 0) + (total if together else 0)
                    check_size(place, (total,), np.dtype("u1"), max_bytes)
                    check_ratio(place, total, path.stat().st_size)


def _xml_names(path: Path) -> tuple[list[tuple[str, str]], int]:
    """File names in an XML file, each with the path of an HDF5 data set, and number of grids."""
    found: list[tuple[str, str]] = []
    text: list[str] = []
    grids = 0
    xdmf = path.suffix.lower() in XDMF_SUFFIXES

    def finish(_: str = "") -> None:
        if parser.CharacterDataHandler is None:
            return
        parser.CharacterDataHandler = None
        name, colon, place = "".join(text).strip().partition(":")
        if not colon or ":" in place:
            raise ValueError(f"{path}: expected 'file.h5:/name' of HDF5 values (got '{name}')")
        found.append((name, place))

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal grids
        finish()
        grids += tag == "Grid"
        found.extend((v, "") for k, v in attributes.items() if k.lower() in _ATTRIBUTES)
        kind = attributes.get("Format", "").upper() if xdmf else ""
        if kind == "BINARY":
            raise ValueError(
                f'{path}: values of Format="Binary" are not read; save them as HDF or XML'
            )
        if kind == "HDF":
            text.clear()
            parser.CharacterDataHandler = text.append

    parser = _parser(path, start, finish)
    _run(path, parser)
    return found, grids


def _parser(path: Path, start: Any, end: Any) -> expat.XMLParserType:
    def refuse(*_: Any) -> None:
        raise ValueError(f"{path}: defines XML entities, which mesh files do not need")

    parser = expat.ParserCreate()
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.EntityDeclHandler = refuse
    # FEniCS names a document type, without entities.
    if path.suffix.lower() not in XDMF_SUFFIXES:
        parser.StartDoctypeDeclHandler = refuse
    return parser


def _run(path: Path, parser: expat.XMLParserType) -> None:
    try:
        with path.open("rb") as file:
            parser.ParseFile(file)
    except (expat.ExpatError, LookupError) as error:  # LookupError: an unknown encoding
        raise ValueError(f"{path}: cannot be read as a mesh (not whole XML: {error})") from error


def _ensight_names(path: Path) -> list[str]:
    found = []
    for line in path.read_text(errors="surrogateescape").splitlines():
        key, colon, rest = line.partition(":")
        # Numbers of sets, a description and the name: each could be taken for the name.
        words = [word.strip("\"'") for word in rest.split()]
        if not colon or line.lstrip().startswith("#") or not words:
            continue
        for word in words:
            resolve_below(path.parent, word, path)
        key = key.strip().lower()
        if key in _GEOMETRY:
            found.append(next((word for word in words if not word.isdecimal()), words[-1]))
        elif key.startswith(_VARIABLES) and "constant" not in key:
            found.append(words[-1])
    return found
