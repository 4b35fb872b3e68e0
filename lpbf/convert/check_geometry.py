"""EnSight Gold geometry files that VTK's reader survives."""

from pathlib import Path
from typing import BinaryIO

import numpy as np

# Nodes of each element.
_ELEMENTS = {
    **{"point": 1, "bar2": 2, "bar3": 3, "tria3": 3, "tria6": 6, "quad4": 4, "quad8": 8},
    **{"tetra4": 4, "tetra10": 10, "pyramid5": 5, "pyramid13": 13, "penta6": 6, "penta15": 15},
    **{"hexa8": 8, "hexa20": 20},
}
_STORED = ("given", "ignore")


def check_geometry(path: Path) -> None:
    """Follows a binary geometry file from end to end.

    VTK's reader believes the numbers in it, and a file that was cut off can end the process. What
    is accepted is what Netfabb writes, and a bit more: unstructured parts, little-endian, without
    record markers, whatever the header calls it.

    Raises:
        ValueError: If it is something else, cut off, or names nodes that do not exist.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        try:
            _check(file, size)
        except ValueError as error:
            raise ValueError(f"{path}: {error} at byte {file.tell():,}; export it anew") from error


def _check(file: BinaryIO, size: int) -> None:
    header = _text(file)
    if not header.lower().endswith("binary"):
        raise ValueError(f"expected an EnSight Gold binary geometry (got '{header[:20]}')")
    file.seek(160, 1)  # two lines of description
    stored = []
    for key in ("node id", "element id"):
        line = _text(file)
        if not line.startswith(key):
            raise ValueError(f"expected '{key}' (got '{line[:20]}')")
        stored.append(line.split()[-1] in _STORED)
    line = _text(file)
    if line == "extents":
        _skip(file, size, 6)
        line = _text(file)
    nodes = 0
    while True:
        if line == "part":
            _integer(file)
            _text(file)
            line = _text(file)
            if line != "coordinates":
                raise ValueError(f"expected 'coordinates' (got '{line[:20]}')")
            nodes = _integer(file)
            _skip(file, size, (3 + stored[0]) * nodes)
        elif line in _ELEMENTS:
            count = _integer(file)
            _skip(file, size, stored[1] * count)
            at = file.tell()
            _skip(file, size, count * _ELEMENTS[line])
            file.seek(at)
            numbers = np.fromfile(file, dtype="<i4", count=count * _ELEMENTS[line])
            if count and not (numbers.min() >= 1 and numbers.max() <= nodes):
                raise ValueError(f"elements name nodes outside 1 to {nodes}")
        else:
            raise ValueError(f"expected a part or elements (got '{line[:20]}')")
        if file.tell() == size:
            return
        line = _text(file)


def _text(file: BinaryIO) -> str:
    line = file.read(80)
    if len(line) < 80:
        raise ValueError("the file is cut off")
    return line.split(b"\0")[0].decode("ascii", errors="replace").strip()


def _integer(file: BinaryIO) -> int:
    data = file.read(4)
    if len(data) < 4:
        raise ValueError("the file is cut off")
    value = int.from_bytes(data, "little", signed=True)
    if value < 0:
        raise ValueError(f"expected a number >= 0 (got {value})")
    return value


def _skip(file: BinaryIO, size: int, values: int) -> None:
    """Leaves out numbers of four bytes, if they are there."""
    if file.tell() + 4 * values > size:
        raise ValueError("the file is cut off")
    file.seek(4 * values, 1)
