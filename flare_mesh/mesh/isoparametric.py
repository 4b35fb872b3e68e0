"""Isoparametric map from reference cells to the cells of a mesh, and integrals over cells."""

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import torch
from torch import Tensor

from flare_mesh.mesh.cells import CELL_TYPES, check_cells
from flare_mesh.mesh.shape_functions import quadrature, shape_functions, shape_gradients

# Numbers per chunk of cells: they fit into the cache of a CPU; a GPU needs fewer, larger calls.
_CHUNK = 2**20
_CHUNK_GPU = 2**25


def checked_cells(pos: Tensor, cells: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The cells in int64, after a check that they fit the coordinates.

    Raises:
        ValueError: If ``pos`` is not real of shape [N, 1..3], or a cell type is unknown, has a
            higher dimension than the coordinates, or has nodes that do not exist.
    """
    if pos.dim() != 2 or not 1 <= pos.shape[1] <= 3 or not pos.is_floating_point():
        raise ValueError(
            f"expected real coordinates 'pos' of shape [N, 1], [N, 2] or [N, 3] "
            f"(got {list(pos.shape)} of {pos.dtype})"
        )
    check_cells(cells, len(pos))
    for kind in cells:
        if CELL_TYPES[kind].dim > pos.shape[1]:
            raise ValueError(
                f"expected coordinates of {CELL_TYPES[kind].dim} dimensions for '{kind}' "
                f"(got 'pos' of shape {list(pos.shape)})"
            )
    return {kind: nodes.long() for kind, nodes in cells.items()}


def tangents(pos: Tensor, nodes: Tensor, kind: str, points: np.ndarray) -> Iterator[Tensor]:
    """Derivatives of the map at reference points [P, dim], for chunks of cells [E, nodes].

    Yields:
        [d, dim, chunk, P] in float64.
    """
    count, dim = len(points), CELL_TYPES[kind].dim
    gradients = shape_gradients(kind, points).transpose(1, 2, 0).reshape(-1, dim * count)
    gradients = torch.from_numpy(gradients).to(pos.device)
    size = pos.shape[1] * (nodes.shape[1] + 2 * dim * count)
    coordinates = pos.double().t().contiguous()
    for part in nodes.split(max(1, (_CHUNK_GPU if pos.is_cuda else _CHUNK) // size)):
        local = coordinates[:, part]
        # Relative to the first node: cells far from the origin would lose digits.
        local = local - local[..., :1]
        yield (local @ gradients).view(len(local), len(part), dim, count).transpose(1, 2)


def normals(slopes: Tensor) -> Tensor:
    """Cross product of a surface's tangents, or the right-hand normal of a plane line's tangent.

    Shapes:
        slopes: [3, 2, ...] or [2, 1, ...], returns [3, ...] or [2, ...].
    """
    if slopes.shape[:2] == (2, 1):
        (x,), (y,) = slopes
        return torch.stack([y, -x])
    (ax, bx), (ay, by), (az, bz) = slopes
    return torch.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx])


def jacobians(slopes: Tensor) -> Tensor:
    """Jacobian determinant of the map, [d, dim, ...] -> [...]; signed if d = dim."""
    d, dim = slopes.shape[:2]
    if dim == d == 1:
        return slopes[0, 0]
    if dim == d == 2:
        (ax, bx), (ay, by) = slopes
        return ax * by - ay * bx
    if dim == d == 3:
        return (normals(slopes[:, :2]) * slopes[:, 2]).sum(0)
    return (normals(slopes) if dim == 2 else slopes[:, 0]).norm(dim=0)


def exact_degree(kind: str, pos_dim: int) -> int:
    """Quadrature degree for the Jacobian times shape functions of order 1, or squares of order 2.

    Exact if the Jacobian is a polynomial; for the squares if it is constant.
    """
    cell = CELL_TYPES[kind]
    if cell.order == 1 and cell.linear in ("line", "triangle", "tetra"):
        return 1
    return 2 * cell.order + 1 + (2 if cell.dim < pos_dim else 0)


def integrate(
    pos: Tensor,
    nodes: Tensor,
    kind: str,
    functions: Callable[[np.ndarray], np.ndarray] | None = None,
    *,
    degree: int | None = None,
    absolute: bool = False,
) -> Tensor:
    """Integrals over each cell of its shape functions or of functions of them, [E, K] in float64.

    Args:
        pos: Coordinates, [N, d].
        nodes: Cells of one type, [E, nodes].
        kind: The cell type.
        functions: Values [Q, K] from the values [Q, nodes] of the shape functions. Default: these.
        degree: Degree of the quadrature. Default: :func:`exact_degree`.
        absolute: Whether inverted cells contribute with a positive sign.
    """
    degree = exact_degree(kind, pos.shape[1]) if degree is None else degree
    points, weights = quadrature(kind, degree)
    values = shape_functions(kind, points)
    values = (functions(values) if functions else values) * weights[:, None]
    values = torch.from_numpy(values).to(pos.device)
    if CELL_TYPES[kind].dim == 0:
        return values.expand(len(nodes), -1)
    densities = (jacobians(slopes) for slopes in tangents(pos, nodes, kind, points))
    return torch.cat([(d.abs() if absolute else d) @ values for d in densities])
