"""Cells from the faces between them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_mesh.io.readers.labels import hash_integers
from flare_mesh.mesh.cells import CELL_TYPES

_Array = NDArray[Any]

# Numbers of faces with 2, 3 and 4 nodes of each cell type.
_FACES = {
    **{(3, 0, 0): "triangle", (4, 0, 0): "quad", (0, 4, 0): "tetra"},
    **{(0, 0, 6): "hexahedron", (0, 4, 1): "pyramid", (0, 2, 3): "wedge"},
}
_CHUNK = 100_000


def cells_from_faces(
    faces: _Array, sides: _Array, num_cells: int, points: _Array
) -> list[tuple[str, _Array, _Array]]:
    """Cells of each type: its name, the rows of the cells, and their nodes in VTK's order.

    Args:
        faces: Rows of the nodes of each face, [F, 4], filled with -1.
        sides: Rows of the cells on both sides of each face, [2, F]; -1 for none.
        num_cells: Number of cells.
        points: Coordinates [N, d], which give the orientation.

    Raises:
        ValueError: If the faces of a cell are not those of a supported type.
    """
    owner = sides.ravel()
    face = np.tile(np.arange(len(faces)), 2)[owner >= 0]
    owner = owner[owner >= 0]
    order = np.argsort(owner, kind="stable")
    face, owner = face[order], owner[order]
    sizes = (faces >= 0).sum(axis=1)
    counts = [np.bincount(owner[sizes[face] == n], minlength=num_cells) for n in (2, 3, 4)]
    starts = np.cumsum(np.bincount(owner, minlength=num_cells))
    starts = np.concatenate([[0], starts[:-1]]) if num_cells else starts
    code = counts[0] + 100 * np.minimum(counts[1], 99) + 10_000 * counts[2]
    found, other = [], np.ones(num_cells, bool)
    for numbers, kind in _FACES.items():
        chosen = np.flatnonzero(code == numbers[0] + 100 * numbers[1] + 10_000 * numbers[2])
        other[chosen] = False
        parts = []
        for first in range(0, len(chosen), _CHUNK):
            rows = chosen[first : first + _CHUNK]
            around = face[starts[rows][:, None] + np.arange(sum(numbers))]
            parts.append(_nodes(kind, faces[around], sizes[around], points))
        if parts:
            found.append((kind, chosen, np.concatenate(parts)))
    if other.any():
        raise ValueError(
            f"{int(other.sum())} cells, the first of them {np.flatnonzero(other)[0] + 1}, are "
            f"polyhedra, polygons or have hanging nodes, which are not supported; mesh the part "
            f"with triangles, quadrilaterals, tetrahedra, hexahedra, wedges and pyramids"
        )
    return found


def _nodes(kind: str, faces: _Array, sizes: _Array, points: _Array) -> _Array:
    """Nodes in VTK's order of cells of one type with their faces [E, faces, 4]."""
    # The base is a triangle of a wedge and the quadrilateral of a pyramid.
    order = np.argsort(-sizes if kind == "pyramid" else sizes, axis=1, kind="stable")
    faces = np.take_along_axis(faces, order[:, :, None], axis=1)
    base = faces[:, 0, : np.take_along_axis(sizes, order, axis=1)[0, 0]]
    sides = faces[:, 1:]
    # Edges of the other faces; the node after the last one is the first one.
    ends = np.where(np.roll(sides, -1, axis=2) >= 0, np.roll(sides, -1, axis=2), sides[:, :, :1])
    begin, end = sides.reshape(len(sides), -1), ends.reshape(len(sides), -1)
    begin_above, end_above = (~(x[:, :, None] == base[:, None]).any(axis=2) for x in (begin, end))
    above = []
    for corner in base.T[: 1 if kind in ("triangle", "tetra", "pyramid") else None]:
        up = (begin == corner[:, None]) & end_above & (end >= 0)
        down = (end == corner[:, None]) & begin_above & (begin >= 0)
        place = (up | down).argmax(axis=1)[:, None]
        neighbour = np.where(up, end, begin)
        above.append(np.take_along_axis(neighbour, place, axis=1)[:, 0])
    nodes = _oriented(kind, base, np.stack(above, axis=1), points)
    given = np.where(faces >= 0, hash_integers(faces), np.uint64(0)).sum(axis=2)
    hashed = hash_integers(nodes)
    built = [hashed[:, list(face)].sum(axis=1) for _, face in CELL_TYPES[kind].faces]
    if not (np.sort(given, axis=1) == np.sort(np.stack(built, axis=1), axis=1)).all():
        raise ValueError(f"the faces of some cells do not enclose a {kind}; the file is damaged")
    return nodes


def _oriented(kind: str, base: _Array, above: _Array, points: _Array) -> _Array:
    """The nodes in VTK's order such that the cells have a positive measure."""
    corners = points[base]
    up = points[above].mean(axis=1) - corners.mean(axis=1)
    along = corners[:, 1] - corners[:, 0]
    if base.shape[1] == 2:
        negative = along[:, 0] * up[:, 1] - along[:, 1] * up[:, 0] < 0
    else:
        across = corners[:, -1] - corners[:, 0]
        if base.shape[1] == 4:
            along, across = corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1]
        negative = (np.cross(along, across) * up).sum(axis=1) < 0
    base = np.where(negative[:, None], base[:, ::-1], base)
    if above.shape[1] > 1:
        above = np.where(negative[:, None], above[:, ::-1], above)
    return np.concatenate([base, above[:, ::-1] if kind == "quad" else above], axis=1)
