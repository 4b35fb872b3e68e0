"""Surfaces of PLY files, as text and binary."""

import numpy as np

from flare_mesh.io.readers.ply_binary import read_binary_rows
from flare_mesh.io.readers.ply_header import read_ply_header
from flare_mesh.io.readers.ply_rows import PLYRows
from flare_mesh.io.readers.ply_text import read_text_rows
from flare_mesh.io.surfaces.surface import Surface, check_indices, fan_triangles, whole_numbers

_INDEX_NAMES = ("vertex_indices", "vertex_index")
_OTHER_GEOMETRY = ("tristrips", "range_grid", "multi_patch")


def read_ply(content: bytes) -> Surface:
    """Read the vertices and polygons of a PLY file; other elements and properties are left out.

    Raises:
        ValueError: If the file is damaged or cut off, or has its triangles in strips or grids.
    """
    header = read_ply_header(content)
    for element in header.elements:
        if element.name in _OTHER_GEOMETRY and element.count:
            raise ValueError(f"has the element '{element.name}', which is not read; export faces")
    if header.is_text:
        rows, surplus = read_text_rows(content, header), 0
    else:
        rows, surplus = read_binary_rows(content, header)
    nothing = PLYRows({}, {})
    numbers, lists = rows.get("vertex", nothing).numbers, rows.get("face", nothing).lists
    missing = [axis for axis in "xyz" if axis not in numbers]
    if missing:
        raise ValueError(f"its vertices have no '{missing[0]}'; export it again")
    points = np.stack([numbers[axis].astype(np.float64) for axis in "xyz"], axis=1)
    names = [name for name in _INDEX_NAMES if name in lists]
    if not names:
        raise ValueError("its faces have no list 'vertex_indices'; export it again")
    values, counts = lists[names[0]]
    corners = whole_numbers(values)
    check_indices(corners, counts, len(points))
    notes = (f"has {surplus:,} bytes after its last element, which are not read",)
    return Surface(points, fan_triangles(corners, counts), notes if surplus else ())
