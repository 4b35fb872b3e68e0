"""Inner loops of the solvers on the CPU: the same functions as in ``kernels_torch``, compiled."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flare_mesh.compiled.team import run_tasks
from lpbf.solve import cell_kernels, cg_kernels, team_kernels
from lpbf.solve.linear_map import LinearMap

Kernel = Callable[..., None]

COMPILED = True

# Below these sizes a second thread saves little.
FEW_CELLS = 6144  # three chunks: with fewer, no two are summed at a time
_FEW_NODES = 4096
_FEW_STENCILS = 512  # also of the coarse nodes of a restriction
FEW_STENCILS = 2048  # of a level, for separate calls of its steps
_CHUNK = 1024  # nodes that a thread takes at a time
_STENCIL_CHUNK = 128


def multiply_bricks(
    u: Tensor,
    out: Tensor,
    corners: Tensor,
    blocks: Tensor,
    kind: Tensor,
    factor: Tensor,
    bounds: NDArray[np.int64],
) -> None:
    """Add K u to ``out``; see :func:`lpbf.solve.brick_kernels.multiply_bricks`.

    Args:
        bounds: Bounds of chunks of cells. Consecutive chunks share nodes, so the even ones are
            summed before the odd ones; the order of the sums does not depend on the threads.
    """
    arrays = _arrays(u, out, corners, blocks, kind, factor)
    chunks = len(bounds) - 1
    few = bounds[-1] < FEW_CELLS
    for first in range(min(2, chunks)):
        tasks = 1 if few else (chunks - first + 1) // 2
        run_tasks(team_kernels.multiply_bricks, tasks, *arrays, bounds, first)


def multiply_node_stencil(
    u: Tensor, out: Tensor, stencil: Tensor, neighbours: Tensor, size: int
) -> None:
    """Write A u to ``out``; see :func:`lpbf.solve.grid_kernels.multiply_node_stencil`."""
    kernel, arrays = team_kernels.multiply_node_stencil, (u, out, stencil, neighbours)
    _over_nodes(kernel, size, *arrays, few=_FEW_STENCILS, chunk=_STENCIL_CHUNK)


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
    """One step of the smoother; see :func:`lpbf.solve.grid_kernels.smooth`."""
    arrays = force, image, inverse, direction, u
    _over_nodes(team_kernels.smooth, size, *arrays, momentum, step, few=_FEW_NODES)


def restrict(force: Tensor, image: Tensor, children: Tensor, out: Tensor, size: int) -> None:
    """Write P^T (force - image) to ``out``; see :func:`lpbf.solve.grid_kernels.restrict`."""
    kernel, arrays = team_kernels.restrict, (force, image, children, out)
    _over_nodes(kernel, size, *arrays, few=_FEW_STENCILS, chunk=_STENCIL_CHUNK)


def prolong(coarse: Tensor, parents: Tensor, u: Tensor, size: int) -> None:
    """Add P coarse to ``u``; see :func:`lpbf.solve.grid_kernels.prolong`."""
    _over_nodes(team_kernels.prolong, size, coarse, parents, u, few=_FEW_NODES)


def cell_operator(diagonal: Tensor, links: Tensor, neighbours: Tensor) -> LinearMap:
    """Product with a cell stencil; the same tensor in every call."""
    out = torch.empty_like(diagonal)
    arrays = _arrays(out, diagonal, links, neighbours)

    def multiply(x: Tensor) -> Tensor:
        cell_kernels.multiply_cells(x.numpy(), *arrays)
        return out

    return multiply


def exchange_cells(x: Tensor, links: Tensor, neighbours: Tensor) -> Tensor:
    """Sum over the neighbours of link (x - x_neighbour), [n]."""
    out = torch.empty_like(x)
    cell_kernels.exchange_cells(*_arrays(x, out, links, neighbours))
    return out


def solve_cells(
    diagonal: Tensor,
    links: Tensor,
    neighbours: Tensor,
    force: Tensor,
    target: float,
    max_iterations: int,
) -> tuple[Tensor, int, float]:
    """Conjugate gradients; see :func:`lpbf.solve.cell_kernels.solve_cells`."""
    a, b, c, d = _arrays(diagonal, links, neighbours, force)
    u, iterations, norm = cell_kernels.solve_cells(a, b, c, d, target, max_iterations)
    return torch.from_numpy(u), iterations, norm


def cell_preconditioner(diagonal: Tensor, links: Tensor, neighbours: Tensor) -> LinearMap:
    """Modified incomplete Cholesky factorisation; the same tensor in every call."""
    inverse = cell_kernels.factorize(*_arrays(diagonal, links, neighbours))
    z = torch.zeros_like(diagonal)
    arrays = [z.numpy(), inverse, *_arrays(links, neighbours)]

    def precondition(residual: Tensor) -> Tensor:
        cell_kernels.substitute(residual.numpy(), *arrays)
        return z

    return precondition


class Updates:
    """Vector updates of conjugate gradients, in place; see :mod:`lpbf.solve.cg_kernels`."""

    def __init__(self, u: Tensor, residual: Tensor, direction: Tensor, order: int):
        self._u, self._residual, self._direction = _arrays(
            u.view(-1), residual.view(-1), direction.view(-1)
        )
        self._image, self._order = self._direction, order

    def direction(self, z: Tensor, ratio: float) -> float:
        """Make the preconditioned residual z the direction, conjugate to the last one.

        Return z . residual.
        """
        return cg_kernels.update_direction(
            self._direction, z.numpy().reshape(-1), self._residual, self._image, ratio
        )

    def solution(self, image: Tensor) -> tuple[float, float]:
        """Minimise the energy along the direction, of which ``image`` is the product with A.

        Return the step and the norm of the residual.
        """
        self._image = image.numpy().reshape(-1)
        return cg_kernels.update_solution(
            self._u, self._residual, self._direction, self._image, self._order
        )


def _over_nodes(
    kernel: Kernel, size: int, *args: Tensor | float, few: int, chunk: int = _CHUNK
) -> None:
    """Run a kernel over the nodes, on one thread if there are fewer than ``few``."""
    values = [a.numpy() if isinstance(a, Tensor) else a for a in args]
    run_tasks(kernel, 1 if size < few else -(-size // chunk), size, chunk, *values)


def _arrays(*tensors: Tensor) -> list[NDArray]:
    return [t.numpy() for t in tensors]
