"""Nodes and cells of structured grids, numbered row by row."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from flare_mesh.mesh.cells import CELL_TYPES, reflected_order

_CELLS = {1: "line", 2: "quad", 3: "hexahedron"}


def grid_cells(shape: Sequence[int], *, left_handed: bool = False) -> dict[str, Tensor]:
    """The cells of a grid of nodes: lines, quads or hexahedra, by meshio's name.

    Node (i, j, k) has the number (i * shape[1] + j) * shape[2] + k, as an array ravels. Cells have
    a positive measure where the first coordinate grows along the first axis, and so on.

    Args:
        shape: Nodes along each of one to three axes.
        left_handed: Reverses the orientation of the cells, for a grid whose axes are left-handed,
            such as one whose x runs along the last of two axes.

    Raises:
        ValueError: If the grid does not have one to three axes.
    """
    if len(shape) not in _CELLS:
        raise ValueError(f"expected a grid of one to three axes (got {list(shape)})")
    kind = _CELLS[len(shape)]
    nodes = np.arange(np.prod(shape, dtype=np.int64)).reshape(shape)
    corners = [
        nodes[tuple(slice(int(c), int(c) - 1 + n) for c, n in zip(corner, shape, strict=True))]
        for corner in CELL_TYPES[kind].reference
    ]
    if left_handed:
        corners = [corners[i] for i in reflected_order(kind)]
    return {kind: torch.from_numpy(np.stack([c.ravel() for c in corners], axis=1))}


def grid_positions(*axes: ArrayLike) -> Tensor:
    """Coordinates [N, d] of the nodes of a grid, from the coordinates along each of d axes."""
    lines = [np.asarray(axis, dtype=np.float64) for axis in axes]
    points = np.stack(np.meshgrid(*lines, indexing="ij"), axis=-1)
    return torch.from_numpy(points.reshape(-1, len(axes)).astype(np.float32))


def unit_axes(
    shape: Sequence[int], stride: int, place: str, *, periodic: bool = False
) -> list[NDArray[np.float64]]:
    """Coordinates from 0 to 1 of every ``stride``-th node along each axis of a grid.

    Args:
        shape: Nodes along each axis.
        stride: Step between the nodes that are taken.
        place: Beginning of messages.
        periodic: Whether the node at 1 is left out, being the one at 0.

    Raises:
        ValueError: If the stride does not fit the grid.
    """
    if not 1 <= stride < min(shape):
        raise ValueError(
            f"{place}: expected a stride from 1 to {min(shape) - 1} for a grid of "
            f"{' x '.join(map(str, shape))} nodes (got {stride})"
        )
    return [np.arange(0, n, stride) / (n if periodic else n - 1) for n in shape]


def is_left_handed(x: ArrayLike, y: ArrayLike) -> bool:
    """Whether a curvilinear grid [rows, columns] is left-handed: its signed area is negative."""
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    # The cross product of the diagonals of a quad is twice its area.
    x1, y1 = x[1:, 1:] - x[:-1, :-1], y[1:, 1:] - y[:-1, :-1]
    x2, y2 = x[:-1, 1:] - x[1:, :-1], y[:-1, 1:] - y[1:, :-1]
    return bool((x1 * y2 - y1 * x2).sum() < 0)
