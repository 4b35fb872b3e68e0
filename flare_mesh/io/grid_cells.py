"""Points and cells of structured grids."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

# VTK's line, quad and hexahedron, by dimension, and the steps along each axis to their nodes.
_CELLS = {
    0: (1, ((),)),
    1: (3, ((0,), (1,))),
    2: (9, ((0, 0), (1, 0), (1, 1), (0, 1))),
    3: (12, tuple((x, y, z) for z in (0, 1) for x, y in ((0, 0), (1, 0), (1, 1), (0, 1)))),
}
_MAX_POINTS = 4_000_000  # of a grid whose file has no values for them


def check_grid(dimensions: Sequence[int], file_bytes: int) -> None:
    """Refuse a grid of more points than its file can have values for.

    Raises:
        ValueError: If a dimension is not positive, or the grid is too large.
    """
    if min(dimensions) < 1:
        raise ValueError(f"expected positive dimensions of a grid (got {list(dimensions)})")
    points = math.prod(dimensions)
    if points > max(_MAX_POINTS, file_bytes):
        raise ValueError(
            f"declares a grid of {points:,} points, more than a file of {file_bytes:,} bytes has "
            f"values for; it is damaged"
        )


def grid_points(axes: Sequence[NDArray[np.floating]]) -> NDArray[np.floating]:
    """Points [N, 3] of a grid with the coordinates ``axes``; x changes fastest."""
    z, y, x = np.meshgrid(*axes[::-1], indexing="ij")
    return np.stack([x.ravel(), y.ravel(), z.ravel()], axis=1)


def grid_cells(dimensions: Sequence[int]) -> tuple[NDArray[np.int64], int]:
    """Nodes [E, nodes] of the cells of a grid, and their VTK type; x changes fastest.

    Axes with a single node are left out: a grid of one layer has quads.

    Args:
        dimensions: Number of nodes along x, y and z.
    """
    strides = np.cumprod([1, *dimensions[:-1]])
    long = [axis for axis in range(3) if dimensions[axis] > 1]
    code, steps = _CELLS[len(long)]
    first = np.zeros(1, np.int64)
    for axis in long:
        first = (np.arange(dimensions[axis] - 1)[:, None] * strides[axis] + first).reshape(-1)
    moves = np.array(
        [sum(strides[a] * s for a, s in zip(long, step, strict=True)) for step in steps]
    )
    return first[:, None] + moves, code
