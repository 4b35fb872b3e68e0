"""Reader of PLY files, as text and binary."""

import numpy as np

from flare_mesh.io.surfaces.ply_header import read_ply_header
from flare_mesh.io.surfaces.ply_rows import BinaryRows, TextRows
from flare_mesh.io.surfaces.surface import (
    Surface,
    check_indices,
    check_last_line,
    fan_triangles,
    whole_numbers,
)
from flare_mesh.io.surfaces.text_numbers import parse_numbers

_INDEX_NAMES = ("vertex_indices", "vertex_index")
_OTHER_GEOMETRY = ("tristrips", "range_grid", "multi_patch")


def read_ply(content: bytes) -> Surface:
    """Read the vertices and polygons of a PLY file; other elements and properties are left out.

    Raises:
        ValueError: If the file is damaged or cut off, or has its triangles in strips or grids.
    """
    elements, order, start = read_ply_header(content)
    for element in elements:
        if element.name in _OTHER_GEOMETRY and element.count:
            raise ValueError(f"has the element '{element.name}', which is not read; export faces")
    if order:
        rows = BinaryRows(content, start, order)
    else:
        rows = TextRows(parse_numbers(content[start:], content))
    points, corners, counts = np.empty((0, 3)), np.empty(0, np.int64), np.empty(0, np.int64)
    for element in elements:
        if element.name == "vertex":
            columns = rows.read(element, ("x", "y", "z"))
            points = np.stack([columns[axis][0] for axis in "xyz"], axis=1).astype(np.float64)
        elif element.name == "face":
            lists = [p.name for p in element.properties if p.count_type]
            names = [name for name in _INDEX_NAMES if name in lists] or lists
            if not names:
                raise ValueError("its faces have no list 'vertex_indices'; export it again")
            name = names[0]
            values, counts = rows.read(element, (name,))[name]
            corners = whole_numbers(values)
        else:
            rows.read(element, ())
    check_indices(corners, counts, len(points))
    surplus = rows.surplus()
    surface = Surface(points, fan_triangles(corners, counts))
    if not order:
        if surplus:
            raise ValueError(
                f"has {surplus:,} more numbers than its header declares; export it again"
            )
        check_last_line(content, surface)
    elif surplus:
        text = f"has {surplus:,} bytes after its last element, which are not read"
        return surface._replace(notes=(text,))
    return surface
