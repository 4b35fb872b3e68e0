"""STL files.

The reader is our own: meshio and trimesh read a text that is cut off, and do not check its words.
"""

import re
import warnings
from pathlib import Path
from typing import Any

import meshio
import numpy as np
from numpy.typing import NDArray

from flare_mesh.io.mesh_file_warning import MeshFileWarning
from flare_mesh.io.readers.text_lines import TextLines, check_text
from flare_mesh.io.stl_layout import HEADER_BYTES, TRIANGLE, declared_triangles

_LINES = (b"facet", b"outer", b"vertex", b"vertex", b"vertex", b"endloop", b"endfacet")
_WIDTH = 10  # one more than the longest keyword, so that a longer word differs


def read_stl(path: Path, step: int | None, max_bytes: int) -> meshio.Mesh:
    """Read a binary or text STL surface; coincident corners become one point.

    Normals and attributes of the facets are not read. Source: 3D Systems, "StereoLithography
    Interface Specification".

    Raises:
        ValueError: If the file is cut off or has no triangles, or a line cannot be read.
    """
    data = path.read_bytes()
    corners = _text_corners(data) if _is_text(data) else _binary_corners(path, data)
    if not len(corners):
        raise ValueError("it has no triangles")
    points, number = _unique_points(corners.reshape(-1, 3))
    return meshio.Mesh(points, [("triangle", number.reshape(-1, 3))])


def _is_text(data: bytes) -> bool:
    # The title of a binary file may begin with "solid", too.
    if len(data) == declared_triangles(data)[1]:
        return False
    start = data[:1024].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return start.startswith((b"solid", b"facet")) and b"\0" not in data[:1024]


def _binary_corners(path: Path, data: bytes) -> NDArray[np.float32]:
    if len(data) < HEADER_BYTES:
        raise ValueError(
            f"expected an STL text, or a binary file of at least {HEADER_BYTES} bytes "
            f"(got {len(data)})"
        )
    count, size = declared_triangles(data)
    if len(data) < size:
        raise ValueError(
            f"it declares {count:,} triangles, which need {size:,} bytes (got {len(data):,}); it "
            f"is cut off, or not an STL file"
        )
    if len(data) > size:
        warnings.warn(
            f"{path}: {len(data) - size} bytes after the {count:,} triangles that it declares are "
            f"left out",
            MeshFileWarning,
            stacklevel=2,
        )
    return np.frombuffer(data, TRIANGLE, count, HEADER_BYTES)["corners"]


def _text_corners(data: bytes) -> NDArray[np.float64]:
    """Corners of all facets, [F, 3, 3]."""
    text = check_text(data).lower()
    if b"end " in text or b"end\t" in text:
        text = re.sub(rb"\bend[ \t]+(?=(?:solid|loop|facet)\b)", b"end", text)
    lines = TextLines(text)
    keys = lines.keywords(_WIDTH)
    solid, end = keys == b"solid", keys == b"endsolid"
    is_open = np.cumsum(solid) - np.cumsum(end)
    inner = ~solid & ~end
    # Place within a facet, and whether a solid is open, before each line.
    place = (np.cumsum(inner) - inner) % len(_LINES)
    was_open = np.concatenate([[0], is_open[:-1]])
    wrong = inner & (keys != np.array(_LINES)[place]) | ~inner & (place > 0)
    wrong |= (was_open != 1) & ~solid | (was_open != 0) & solid
    if wrong.any():
        row = int(np.argmax(wrong))
        expected = "'solid'"
        if was_open[row] == 1:
            expected = f"'{_LINES[place[row]].decode()}'" if place[row] else "'facet' or 'endsolid'"
        raise ValueError(
            f"line {lines.numbers[row]}: expected {expected} "
            f"(got '{keys[row].decode('latin-1')}'); the text is damaged or cut off"
        )
    if not len(keys) or is_open[-1]:
        raise ValueError(
            "its last solid has no 'endsolid', so it is cut off; export it again, or add that line "
            "if it is whole"
        )
    vertices = np.flatnonzero(keys == b"vertex")
    words = lines.counts[vertices] != 4
    if words.any():
        row = vertices[words][0]
        raise ValueError(
            f"line {lines.numbers[row]}: expected 'vertex' with 3 numbers "
            f"(got {lines.counts[row] - 1} words)"
        )
    return lines.values(vertices, np.float64).reshape(-1, 3, 3)


def _unique_points(corners: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Points in the order in which they first occur, and the point of each corner."""
    order = np.lexsort(corners.T)
    new = np.concatenate([[True], (np.diff(corners[order], axis=0) != 0).any(axis=1)])
    # The sort is stable: the first of equal corners occurs first.
    first = order[new]
    group = np.empty(len(corners), np.int64)
    group[order] = np.cumsum(new) - 1
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return corners[np.sort(first)], rank[group]
