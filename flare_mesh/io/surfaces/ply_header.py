"""Header of PLY files."""

import re
from dataclasses import dataclass, field

_TYPES = {
    **dict.fromkeys(("char", "int8"), "i1"),
    **dict.fromkeys(("uchar", "uint8"), "u1"),
    **dict.fromkeys(("short", "int16"), "i2"),
    **dict.fromkeys(("ushort", "uint16"), "u2"),
    **dict.fromkeys(("int", "int32"), "i4"),
    **dict.fromkeys(("uint", "uint32"), "u4"),
    **dict.fromkeys(("float", "float32"), "f4"),
    **dict.fromkeys(("double", "float64"), "f8"),
    **{"int64": "i8", "uint64": "u8", "float16": "f2"},  # not in the specification
}
_BYTE_ORDERS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}
_MAX_HEADER = 1 << 20


@dataclass(frozen=True)
class PlyProperty:
    """A property of an element: one number, or a list if ``count_type`` is given.

    Attributes:
        name: Name of the property.
        type: NumPy type of a value.
        count_type: NumPy type of the number of values of a list; empty for one number.
    """

    name: str
    type: str
    count_type: str = ""


@dataclass(frozen=True)
class PlyElement:
    """An element, such as ``vertex`` or ``face``."""

    name: str
    count: int
    properties: list[PlyProperty] = field(default_factory=list)


def read_ply_header(content: bytes) -> tuple[list[PlyElement], str, int]:
    """Read the header of a PLY file.

    Returns:
        The elements; the byte order ("<", ">") of a binary file, or "" for text; and the position
        at which the data begin.

    Raises:
        ValueError: If the header is damaged, or has a word that the format has not.
    """
    found = re.match(rb"ply[ \t]*(\r\n|\n|\r)", content)
    if found is None:
        raise ValueError("expected 'ply' on the first line; export it again")
    newline = found[1]
    end = re.compile(rb"(?<=[\r\n])end_header[ \t]*" + newline).search(content[:_MAX_HEADER])
    if end is None:
        raise ValueError("expected the line 'end_header'; the file is damaged or cut off")
    elements: list[PlyElement] = []
    order = None
    text = content[found.end() : end.start()].decode("latin-1")
    for line in text.split(newline.decode()):
        words = line.split()
        match words:
            case [] | ["comment" | "obj_info", *_]:
                pass
            case ["format", name, "1.0"] if name in _BYTE_ORDERS and order is None:
                order = _BYTE_ORDERS[name]
            case ["element", name, count] if count.isdecimal() and len(count) < 19:
                elements.append(PlyElement(name, int(count)))
            case ["property", "list", count, kind, name] if (
                elements
                and _TYPES.keys()
                >= {
                    count,
                    kind,
                }
                and _TYPES[count][0] != "f"
            ):
                elements[-1].properties.append(PlyProperty(name, _TYPES[kind], _TYPES[count]))
            case ["property", kind, name] if elements and kind in _TYPES:
                elements[-1].properties.append(PlyProperty(name, _TYPES[kind]))
            case _:
                raise ValueError(
                    f"its header has the line '{line.strip()[:60]}', which is no line of the "
                    f"format; export it again"
                )
    if order is None:
        raise ValueError("its header has no line 'format'; export it again")
    return elements, order, end.end()
