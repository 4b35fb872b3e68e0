"""Tiny meshes of all cell types."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from flare_mesh.mesh.cells import CELL_TYPES

_SQUARE = CELL_TYPES["quad"].reference
_CUBE = CELL_TYPES["hexahedron"].reference
_CUBE_FACES = [nodes for _, nodes in CELL_TYPES["hexahedron"].faces]

# Points, and cells that fill the unit interval, square or cube.
_UNIT = {
    "vertex": ([(0.5,)], [(0,)]),
    "line": ([(0.0,), (0.5,), (1.0,)], [(0, 1), (1, 2)]),
    "triangle": ([*_SQUARE, (0.5, 0.5)], [(0, 1, 4), (1, 2, 4), (2, 3, 4), (3, 0, 4)]),
    "quad": ([*_SQUARE, (0.5, 0), (0.5, 1)], [(0, 4, 5, 3), (4, 1, 2, 5)]),
    # Six tetrahedra around the diagonal from corner 0 to corner 6.
    "tetra": (_CUBE, [(0, a, b, 6) for a, b in ((1, 2), (2, 3), (3, 7), (7, 4), (4, 5), (5, 1))]),
    "pyramid": ([*_CUBE, (0.5, 0.5, 0.5)], [(*face[::-1], 8) for face in _CUBE_FACES]),
    "wedge": (_CUBE, [(0, 1, 2, 4, 5, 6), (0, 2, 3, 4, 6, 7)]),
    "hexahedron": (
        [*_CUBE, *((x, y, 0.5) for x, y in _SQUARE)],
        [(0, 1, 2, 3, 8, 9, 10, 11), (8, 9, 10, 11, 4, 5, 6, 7)],
    ),
}


def unit_mesh(kind: str, *, pos_dim: int | None = None) -> tuple[Tensor, dict[str, Tensor]]:
    """A few cells of one type that fill the unit interval, square or cube; or a single vertex.

    Args:
        kind: meshio's name of the cell type.
        pos_dim: Dimension of the coordinates, 0 beyond the cells' dimension. Default: the cells'
            dimension (1 for a vertex).

    Returns:
        ``pos`` [N, pos_dim] in float64 and the connectivity by type, all cells positively oriented.

    Raises:
        ValueError: If the cells have more dimensions than ``pos_dim``.
    """
    cell = CELL_TYPES[kind]
    corners, cells = _UNIT[cell.linear]
    points, connectivity = _add_middle_nodes(np.array(corners, dtype=float), {kind: cells})
    pos_dim = points.shape[1] if pos_dim is None else pos_dim
    if points.shape[1] > pos_dim:
        raise ValueError(f"expected 'pos_dim' >= {cell.dim} for '{kind}' (got {pos_dim})")
    return torch.nn.functional.pad(points, (0, pos_dim - points.shape[1])), connectivity


def mixed_mesh(order: int = 1) -> tuple[Tensor, dict[str, Tensor]]:
    """A unit cube, a pyramid, a wedge and a tetrahedron, which share faces.

    Args:
        order: 1, or 2 for cells with mid-edge nodes.

    Returns:
        ``pos`` [N, 3] in float64 and the connectivity by type; the volume is 1 + 1/3 + 1/2 + 1/12.

    Raises:
        ValueError: If the order is neither 1 nor 2.
    """
    if order not in (1, 2):
        raise ValueError(f"expected order 1 or 2 (got {order})")
    points = [*_CUBE, (0.5, 0.5, 2.0), (2.0, 0.0, 0.0), (2.0, 1.0, 0.0), (1.5, -0.5, 0.0)]
    cells = {
        "hexahedron": [(0, 1, 2, 3, 4, 5, 6, 7)],
        "pyramid": [(4, 5, 6, 7, 8)],
        "wedge": [(1, 5, 9, 2, 6, 10)],
        "tetra": [(1, 9, 5, 11)],
    }
    second = dict(zip(cells, ("hexahedron20", "pyramid13", "wedge15", "tetra10"), strict=True))
    if order == 2:
        cells = {second[kind]: nodes for kind, nodes in cells.items()}
    return _add_middle_nodes(np.array(points), cells)


def _add_middle_nodes(
    points: np.ndarray, cells: Mapping[str, list[tuple[int, ...]]]
) -> tuple[Tensor, dict[str, Tensor]]:
    """Add the mid-edge, mid-face and centre nodes of the cell types, shared between neighbours."""
    rows = list(points)
    numbers: dict[frozenset[int], int] = {}
    tables = {}
    for kind, table in cells.items():
        cell = CELL_TYPES[kind]
        linear = CELL_TYPES[cell.linear]
        corners = np.array(linear.reference, dtype=float)
        groups = [*linear.edges, *(nodes for _, nodes in linear.faces), range(linear.num_nodes)]
        middles = [corners[list(group)].mean(axis=0) for group in groups]
        complete = []
        for nodes in table:
            added = []
            for place in cell.reference[linear.num_nodes :]:
                group = next(
                    g for g, m in zip(groups, middles, strict=True) if np.array_equal(m, place)
                )
                key = frozenset(nodes[i] for i in group)
                if key not in numbers:
                    numbers[key] = len(rows)
                    rows.append(points[sorted(key)].mean(axis=0))
                added.append(numbers[key])
            complete.append((*nodes, *added))
        tables[kind] = torch.tensor(complete)
    return torch.from_numpy(np.array(rows)), tables
