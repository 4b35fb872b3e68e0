"""The solver's inner loops on a CPU; the same functions as in ``kernels_torch``."""

from collections.abc import Callable

import torch
from numpy.typing import NDArray
from torch import Tensor

from flare_mesh.compiled.threads import run
from lpbf.solve import brick_kernels, cell_kernels, cg_kernels, grid_kernels
from lpbf.solve.linear_map import LinearMap

Kernel = Callable[..., None]
_BRICKS: Kernel = brick_kernels.multiply
_SMOOTH: Kernel = grid_kernels.smooth

# Below this a thread costs more than it saves, most of all where others use the cores too.
_FEW_CELLS = 8192
_FEW_NODES = 16384
_FEW_STENCILS = 2048
_PIECES = 8  # of more nodes


def multiply_bricks(
    u: Tensor,
    out: Tensor,
    corners: Tensor,
    blocks: Tensor,
    factor: Tensor,
    bounds: list[int],
) -> None:
    """Adds K u to ``out``; see :func:`lpbf.solve.brick_kernels.multiply`.

    Args:
        bounds: Of ranges of cells. Neighbouring ranges share nodes, so every other one is
            done first; the order of the sums does not depend on the threads.
    """
    arrays = _arrays(u, out, corners, blocks, factor)
    few = bounds[-1] < _FEW_CELLS
    for first in (0, 1):
        turns = list(range(first, len(bounds) - 1, 2))

        def work(start: int, stop: int, turns: list[int] = turns) -> None:
            for turn in turns[start:stop]:
                _BRICKS(*arrays, bounds[turn], bounds[turn + 1])

        run([0, len(turns)] if few else range(len(turns) + 1), work)


def multiply_stencil(u: Tensor, out: Tensor, stencil: Tensor, neighbors: Tensor, size: int) -> None:
    """out = A u; see :func:`lpbf.solve.grid_kernels.multiply_stencil`."""
    bounds = _pieces(size, _FEW_STENCILS)
    _over_nodes(grid_kernels.multiply_stencil, bounds, u, out, stencil, neighbors)


def smooth(
    force: Tensor,
    image: Tensor,
    inverse: Tensor,
    direction: Tensor,
    u: Tensor,
    keep: float,
    take: float,
    size: int,
) -> None:
    """A step of the smoother; see :func:`lpbf.solve.grid_kernels.smooth`."""
    arrays = _arrays(force, image, inverse, direction, u)

    def work(start: int, stop: int) -> None:
        _SMOOTH(*arrays, keep, take, start, stop)

    run(_pieces(size, _FEW_NODES), work)


def restrict(force: Tensor, image: Tensor, children: Tensor, out: Tensor, size: int) -> None:
    """out = P^T (force - image); see :func:`lpbf.solve.grid_kernels.restrict`."""
    _over_nodes(grid_kernels.restrict, _pieces(size, _FEW_NODES), force, image, children, out)


def prolong(coarse: Tensor, parents: Tensor, u: Tensor, size: int) -> None:
    """u += P coarse; see :func:`lpbf.solve.grid_kernels.prolong`."""
    _over_nodes(grid_kernels.prolong, _pieces(size, _FEW_NODES), coarse, parents, u)


def cell_operator(diagonal: Tensor, links: Tensor, neighbours: Tensor) -> LinearMap:
    """A x of a cell stencil; the same tensor in every call."""
    out = torch.empty_like(diagonal)
    arrays = _arrays(out, diagonal, links, neighbours)

    def multiply(x: Tensor) -> Tensor:
        cell_kernels.multiply(x.numpy(), *arrays)
        return out

    return multiply


def exchange_cells(x: Tensor, links: Tensor, neighbours: Tensor) -> Tensor:
    """Sum over the neighbours of link (x - x_neighbour)."""
    out = torch.empty_like(x)
    cell_kernels.exchange(*_arrays(x, out, links, neighbours))
    return out


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
    """The vector updates of conjugate gradients; see :mod:`lpbf.solve.cg_kernels`."""

    def __init__(self, u: Tensor, residual: Tensor, direction: Tensor, order: int):
        self._u, self._residual, self._direction = _arrays(
            u.view(-1), residual.view(-1), direction.view(-1)
        )
        self._image, self._order = self._direction, order

    def direction(self, z: Tensor, ratio: float) -> float:
        """Turn the direction to z, conjugate to the one before; returns z . residual."""
        return cg_kernels.update_direction(
            self._direction, z.numpy().reshape(-1), self._residual, self._image, ratio
        )

    def solution(self, image: Tensor) -> tuple[float, float]:
        """Go along the direction, whose product with the matrix is ``image``; returns the step
        and the norm of the residual."""
        self._image = image.numpy().reshape(-1)
        return cg_kernels.update_solution(
            self._u, self._residual, self._direction, self._image, self._order
        )


def _over_nodes(kernel: Kernel, bounds: list[int], *tensors: Tensor) -> None:
    arrays = _arrays(*tensors)
    run(bounds, lambda start, stop: kernel(*arrays, start, stop))


def _arrays(*tensors: Tensor) -> list[NDArray]:
    return [t.numpy() for t in tensors]


def _pieces(size: int, few: int) -> list[int]:
    """Bounds of ranges of nodes; one range where there are few."""
    return [0, size] if size < few else [size * n // _PIECES for n in range(_PIECES + 1)]
