"""Inner loops of the solvers on any device, in torch: the reference of ``kernels_numba``.

Node arrays are [3, N + 1] with a last node that is always zero; see
:mod:`lpbf.solve.grid_kernels`.
"""

from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lpbf.solve.brick_modes import walsh_matrix
from lpbf.solve.linear_map import LinearMap

COMPILED = False


def multiply_bricks(
    u: Tensor,
    out: Tensor,
    corners: Tensor,
    blocks: Tensor,
    kind: Tensor,
    factor: Tensor,
    bounds: NDArray[np.int64],
) -> None:
    """Add K u of the cells up to the last of ``bounds`` to ``out``."""
    nodes = corners[:, : bounds[-1]].long()
    signs = _walsh_matrix(u.device)
    modes = torch.einsum("mn,cne->cme", signs, u[:, nodes])
    order = torch.arange(8, device=u.device)
    x, y, z = (modes[c, order ^ (1 << c)] for c in range(3))
    aligned = torch.stack([x, y, z])
    mixed = torch.einsum("mcd,dme->cme", blocks[0], aligned)
    for other in range(1, len(blocks)):
        of_kind = torch.einsum("mcd,dme->cme", blocks[other], aligned)
        mixed = torch.where(kind[: bounds[-1]] == other, of_kind, mixed)
    force = torch.stack([mixed[c, order ^ (1 << c)] for c in range(3)])
    if len(factor):
        force = force * factor[: bounds[-1]]
    nodal = torch.einsum("mn,cme->cne", signs, force)
    out.index_add_(1, nodes.flatten(), nodal.flatten(1))


def multiply_node_stencil(
    u: Tensor, out: Tensor, stencil: Tensor, neighbours: Tensor, size: int
) -> None:
    """Write A u to ``out``: ``stencil`` [N, 3, 81], ``neighbours`` [N, 27]."""
    near = u[:, neighbours[:size].long()].permute(1, 2, 0).flatten(1)
    out[:, :size] = torch.bmm(stencil[:size], near[:, :, None])[:, :, 0].T


def smooth(
    force: Tensor,
    image: Tensor,
    inverse: Tensor,
    direction: Tensor,
    u: Tensor,
    momentum: float,
    step: float,
    size: int,
) -> None:
    """Set direction = momentum direction + step D^-1 (force - image); u += direction."""
    x, y, z = force[:, :size] - image[:, :size]
    xx, yy, zz, xy, yz, xz = inverse[:, :size]
    smoothed = torch.stack(
        [xx * x + xy * y + xz * z, xy * x + yy * y + yz * z, xz * x + yz * y + zz * z]
    )
    direction[:, :size] = momentum * direction[:, :size] + step * smoothed
    u[:, :size] += direction[:, :size]


def restrict(force: Tensor, image: Tensor, children: Tensor, out: Tensor, size: int) -> None:
    """Write P^T (force - image) to ``out``; ``children`` [Nc, 27]."""
    out[:, :size] = (force - image)[:, children[:size].long()] @ _child_weights(force.device)


def prolong(coarse: Tensor, parents: Tensor, u: Tensor, size: int) -> None:
    """Add P coarse, the mean over eight ``parents`` [N, 8], to ``u``."""
    u[:, :size] += coarse[:, parents[:size].long()].mean(dim=2)


def cell_operator(diagonal: Tensor, links: Tensor, neighbours: Tensor) -> LinearMap:
    """Product with a cell stencil."""

    def multiply(x: Tensor) -> Tensor:
        product = diagonal * x
        for link, cells in zip(links, neighbours, strict=True):
            product.addcmul_(link, x.index_select(0, cells), value=-1)
        return product

    return multiply


def exchange_cells(x: Tensor, links: Tensor, neighbours: Tensor) -> Tensor:
    """Sum over the neighbours of link (x - x_neighbour), [n]."""
    total = torch.zeros_like(x)
    for link, cells in zip(links, neighbours, strict=True):
        total.addcmul_(link, x - x.index_select(0, cells))
    return total


def cell_preconditioner(diagonal: Tensor, links: Tensor, neighbours: Tensor) -> LinearMap:
    """Jacobi's inverse diagonal."""
    inverse = 1 / diagonal
    return lambda residual: inverse * residual


class Updates:
    """Vector updates of conjugate gradients, in place; see ``kernels_numba``."""

    def __init__(self, u: Tensor, residual: Tensor, direction: Tensor, order: int):
        self._u, self._residual, self._direction = (t.view(-1) for t in (u, residual, direction))
        self._image, self._order = self._direction, order

    def direction(self, z: Tensor, ratio: float) -> float:
        z = z.reshape(-1)
        self._direction.mul_(ratio * torch.vdot(z, self._image)).add_(z)
        return float(torch.vdot(z, self._residual))

    def solution(self, image: Tensor) -> tuple[float, float]:
        self._image = image.reshape(-1)
        curvature = float(torch.vdot(self._direction, self._image))
        if not curvature > 0:
            return 0.0, 0.0
        step = float(torch.vdot(self._direction, self._residual)) / curvature
        self._u.add_(self._direction, alpha=step)
        self._residual.add_(self._image, alpha=-step)
        return step, float(torch.linalg.vector_norm(self._residual, self._order))


@cache
def _walsh_matrix(device: torch.device) -> Tensor:
    return torch.from_numpy(walsh_matrix()).to(device)


@cache
def _child_weights(device: torch.device) -> Tensor:
    """Weights of the 27 children of a node in the restriction, [27]."""
    line = torch.tensor([0.5, 1.0, 0.5], dtype=torch.float64, device=device)
    return (line[:, None, None] * line[:, None] * line).flatten()
