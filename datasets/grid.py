"""Nodes and cells of structured grids, numbered row by row."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

_CELLS = {1: "line", 2: "quad", 3: "hexahedron"}


def grid_cells(shape: Sequence[int], *, mirrored: bool = False) -> dict[str, Tensor]:
    """The cells of a grid of nodes: lines, quads or hexahedra, by meshio's name.

    Node (i, j, k) has the number (i * shape[1] + j) * shape[2] + k, as an array ravels. Cells have
    a positive measure where the coordinates, first to last, grow along the axes, first to last.

    Args:
        shape: Nodes along each of one to three axes.
        mirrored: The other orientation, for a left-handed grid of quads, such as one whose x runs
            along the last axis.

    Raises:
        ValueError: If the grid has not one to three axes, or is mirrored and not of quads.
    """
    if len(shape) not in _CELLS or (mirrored and len(shape) != 2):
        raise ValueError(f"expected a grid of one to three axes, mirrored two (got {list(shape)})")
    nodes = np.arange(np.prod(shape, dtype=np.int64)).reshape(shape)
    lower, upper = slice(None, -1), slice(1, None)
    corners = [(lower,), (upper,)]
    if len(shape) > 1:
        corners = [(*a, b) for b, ends in ((lower, 1), (upper, -1)) for a in corners[::ends]]
    if len(shape) > 2:
        corners = [(*a, b) for b in (lower, upper) for a in corners]
    if mirrored:
        corners = [corners[i] for i in (0, 3, 2, 1)]
    cells = np.stack([nodes[corner].ravel() for corner in corners], axis=1)
    return {_CELLS[len(shape)]: torch.from_numpy(cells)}


def grid_positions(*axes: ArrayLike) -> Tensor:
    """Coordinates [N, d] of the nodes of a grid, from those along each of its d axes."""
    lines = [np.asarray(axis, dtype=np.float64) for axis in axes]
    points = np.stack(np.meshgrid(*lines, indexing="ij"), axis=-1)
    return torch.from_numpy(points.reshape(-1, len(axes)).astype(np.float32))


def is_left_handed(x: ArrayLike, y: ArrayLike) -> bool:
    """Whether a curvilinear grid [rows, columns] turns clockwise: its signed area is negative."""
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    # The diagonals of a quad span twice its area.
    x1, y1 = x[1:, 1:] - x[:-1, :-1], y[1:, 1:] - y[:-1, :-1]
    x2, y2 = x[:-1, 1:] - x[1:, :-1], y[:-1, 1:] - y[1:, :-1]
    return bool((x1 * y2 - y1 * x2).sum() < 0)
