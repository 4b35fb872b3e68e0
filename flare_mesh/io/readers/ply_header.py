"""Headers of PLY files."""

import re
from dataclasses import dataclass

import numpy as np

_TYPES = {
    **{"char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4"},
    **{"int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4", "uint32": "u4"},
    **{"int64": "i8", "uint64": "u8"},
    **{"float": "f4", "double": "f8", "float32": "f4", "float64": "f8"},
}
_ORDERS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}
_END = re.compile(rb"^end_header[ \t]*\r?\n", re.MULTILINE)
_MAX_COUNT = re.compile(r"\d{1,18}")


@dataclass(frozen=True)
class PLYProperty:
    """Values of an element: one number, or a list if ``length`` is the type of its length."""

    name: str
    dtype: np.dtype
    length: np.dtype | None = None


@dataclass(frozen=True)
class PLYElement:
    """A kind of rows, such as ``"vertex"`` or ``"face"``, and their number."""

    name: str
    count: int
    properties: list[PLYProperty]


@dataclass(frozen=True)
class PLYHeader:
    """What a file declares.

    Attributes:
        is_text: Whether the rows are written as text.
        elements: In the order of the file.
        size: Bytes of the header.
    """

    is_text: bool
    elements: list[PLYElement]
    size: int


def read_ply_header(data: bytes) -> PLYHeader:
    """Read the header of a PLY file.

    Source: Greg Turk, "The PLY Polygon File Format"; 64-bit integers as meshio writes them.

    Raises:
        ValueError: If a line cannot be read.
    """
    end = _END.search(data)
    if not re.match(rb"ply[ \t]*\r?\n", data) or end is None:
        raise ValueError("expected a PLY header, from 'ply' to 'end_header'")
    lines = data[: end.start()].decode("latin-1").splitlines()
    order = None
    elements: list[PLYElement] = []
    for number, line in enumerate(lines[1:], 2):
        words = line.split()
        match words:
            case [] | ["comment" | "obj_info", *_]:
                pass
            case ["format", name, "1.0"] if name in _ORDERS and order is None:
                order = _ORDERS[name]
            case ["element", name, count] if _MAX_COUNT.fullmatch(count):
                elements.append(PLYElement(name, int(count), []))
            case ["property", "list", length, kind, name] if (
                elements and kind in _TYPES and _TYPES.get(length, "f")[0] in "iu"
            ):
                types = (np.dtype((order or "") + _TYPES[one]) for one in (kind, length))
                elements[-1].properties.append(PLYProperty(name, *types))
            case ["property", kind, name] if elements and kind in _TYPES:
                dtype = np.dtype((order or "") + _TYPES[kind])
                elements[-1].properties.append(PLYProperty(name, dtype))
            case _:
                raise ValueError(
                    f"line {number}: expected a format, element, property or comment of a PLY "
                    f"header (got '{line.strip()[:60]}')"
                )
    if order is None:
        raise ValueError("its PLY header has no format")
    for kind, names in (
        ("elements", [element.name for element in elements]),
        *((f"properties of '{e.name}'", [one.name for one in e.properties]) for e in elements),
    ):
        if len(set(names)) < len(names):
            raise ValueError(f"its PLY header has {kind} of the same name")
    return PLYHeader(order == "", elements, end.end())
