"""Reader of STL files, as text and binary."""

import re

import numpy as np
from numpy.typing import NDArray

from flare_mesh.io.stl_layout import HEADER_BYTES, TRIANGLE, declared_triangles
from flare_mesh.io.surfaces.surface import Surface, is_closed
from flare_mesh.io.surfaces.text_numbers import line_of, parse_numbers, shown, unix_lines

_SPACE = re.compile(rb"\s*+")
_SOLID = re.compile(rb"solid\b[^\n]*+", re.I)
_END = re.compile(rb"end[ \t]*+solid\b[^\n]*+", re.I)
_VERTEX = rb"vertex((?:\s++[^\s]++){3})"
_FACETS = re.compile(
    rb"(?:\s*+facet\s++normal(?:\s++\S++){3}\s++outer\s++loop(?:\s++vertex(?:\s++\S++){3}){3}"
    rb"\s++end\s*+loop\s++end\s*+facet(?!\S))*+",
    re.I,
)
_CORNER = re.compile(_VERTEX, re.I)


def read_stl(content: bytes) -> Surface:
    """Read an STL file.

    It is binary if its size is that of the number of triangles in its header, as slicers decide,
    whatever the header begins with. Bytes after the triangles of a binary file, and a missing
    ``endsolid`` after the closed surface of a text file, are read with a note.

    Raises:
        ValueError: If the file is damaged or cut off.
    """
    count, size = declared_triangles(content)
    start = content[:1024].removeprefix(b"\xef\xbb\xbf").lstrip()[:5].lower()
    if len(content) != size and start == b"solid" and b"\0" not in content[:1024]:
        return _read_text(content)
    if len(content) < HEADER_BYTES:
        raise ValueError(
            f"expected text that begins with 'solid', or the 84 bytes of a binary header (got "
            f"{len(content)} bytes); export it again"
        )
    if len(content) < size:
        raise ValueError(
            f"its header declares {count:,} triangles, but its {len(content):,} bytes hold "
            f"{(len(content) - HEADER_BYTES) // TRIANGLE.itemsize:,}; the file is damaged or cut "
            f"off"
        )
    notes = ()
    if len(content) > size:
        surplus = len(content) - size
        if not count:
            raise ValueError(
                f"its header declares no triangles, but {surplus:,} bytes follow; export it again"
            )
        notes = (f"has {surplus:,} bytes after its {count:,} triangles, which are not read",)
    corners = np.frombuffer(content, TRIANGLE, count, HEADER_BYTES)["corners"]
    return Surface(*_soup(corners.reshape(-1, 3).astype(np.float64)), notes)


def _soup(points: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Points and triangles of a list of corners [3 F, 3]."""
    return points, np.arange(len(points)).reshape(-1, 3)


def _read_text(content: bytes) -> Surface:
    text = unix_lines(content)
    solids, corners, unended = 0, [], 0
    at = _after(_SPACE, text, 0)
    while at < len(text):
        head = _SOLID.match(text, at)
        if head is None:
            raise _unexpected(text, at, "'solid'")
        if re.search(rb"\bfacet\s+normal\b", head[0]):
            raise ValueError(
                f"{line_of(text, at)}: expected the name of the solid alone on its line; export it "
                f"again"
            )
        solids += 1
        end = _after(_FACETS, text, head.end())
        corners += _CORNER.findall(text, head.end(), end)
        at = _after(_SPACE, text, end)
        last = _END.match(text, at)
        unended += last is None
        if last is not None:
            at = _after(_SPACE, text, last.end())
        elif at < len(text) and not _SOLID.match(text, at):
            raise _unexpected(text, at, "a facet of three vertices, or 'endsolid'")
    numbers = parse_numbers(b" ".join(corners), text)
    if len(numbers) != 3 * len(corners):
        raise ValueError("expected three numbers per vertex; export it again")
    points, triangles = _soup(numbers.reshape(-1, 3))
    if not unended:
        return Surface(points, triangles)
    if not is_closed(points, triangles):
        raise ValueError("ends without 'endsolid', and its surface is open: the file is cut off")
    return Surface(points, triangles, (f"{unended} of its {solids} solids lack 'endsolid'",))


def _after(pattern: re.Pattern[bytes], text: bytes, at: int) -> int:
    """End of a pattern that always matches."""
    found = pattern.match(text, at)
    assert found is not None
    return found.end()


def _unexpected(text: bytes, at: int, expected: str) -> ValueError:
    line = text[at : at + 200].split(b"\n")[0]
    return ValueError(
        f"{line_of(text, at)}: expected {expected} (got '{shown(line)}'); the file is damaged or "
        f"cut off"
    )
