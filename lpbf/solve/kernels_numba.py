"""The solver's inner loops on a CPU; the same functions as in ``kernels_torch``."""

from collections.abc import Callable

from torch import Tensor

from flare_mesh.compiled.threads import run
from lpbf.solve import brick_kernels, grid_kernels

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
    arrays = [t.numpy() for t in (u, out, corners, blocks, factor)]
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
    arrays = [t.numpy() for t in (force, image, inverse, direction, u)]

    def work(start: int, stop: int) -> None:
        _SMOOTH(*arrays, keep, take, start, stop)

    run(_pieces(size, _FEW_NODES), work)


def restrict(force: Tensor, image: Tensor, children: Tensor, out: Tensor, size: int) -> None:
    """out = P^T (force - image); see :func:`lpbf.solve.grid_kernels.restrict`."""
    _over_nodes(grid_kernels.restrict, _pieces(size, _FEW_NODES), force, image, children, out)


def prolong(coarse: Tensor, parents: Tensor, u: Tensor, size: int) -> None:
    """u += P coarse; see :func:`lpbf.solve.grid_kernels.prolong`."""
    _over_nodes(grid_kernels.prolong, _pieces(size, _FEW_NODES), coarse, parents, u)


def _over_nodes(kernel: Kernel, bounds: list[int], *tensors: Tensor) -> None:
    arrays = [t.numpy() for t in tensors]
    run(bounds, lambda start, stop: kernel(*arrays, start, stop))


def _pieces(size: int, few: int) -> list[int]:
    """Bounds of ranges of nodes; one range where there are few."""
    return [0, size] if size < few else [size * n // _PIECES for n in range(_PIECES + 1)]
