"""The solver's inner loops on a CPU; the same functions as in ``kernels_torch``."""

from collections.abc import Callable

from torch import Tensor

from flare_mesh.compiled.threads import run
from lpbf.mechanics import brick_kernels, grid_kernels

_PIECE = 8192  # nodes


def multiply_bricks(
    u: Tensor,
    out: Tensor,
    corners: Tensor,
    blocks: Tensor,
    factor: Tensor,
    bounds: list[int],
) -> None:
    """Adds K u to ``out``; see :func:`lpbf.mechanics.brick_kernels.multiply`.

    Args:
        bounds: Of ranges of cells. Neighbouring ranges share nodes, so every other one is
            done first; the order of the sums does not depend on the threads.
    """
    arrays = [t.numpy() for t in (u, out, corners, blocks, factor)]
    for first in (0, 1):
        turns = list(range(first, len(bounds) - 1, 2))

        def work(start: int, stop: int, turns: list[int] = turns) -> None:
            for turn in turns[start:stop]:
                brick_kernels.multiply(*arrays, bounds[turn], bounds[turn + 1])

        run(range(len(turns) + 1), work)


def multiply_stencil(u: Tensor, out: Tensor, stencil: Tensor, neighbors: Tensor, size: int) -> None:
    """out = A u; see :func:`lpbf.mechanics.grid_kernels.multiply_stencil`."""
    _over_nodes(grid_kernels.multiply_stencil, size, u, out, stencil, neighbors)


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
    """A step of the smoother; see :func:`lpbf.mechanics.grid_kernels.smooth`."""
    arrays = [t.numpy() for t in (force, image, inverse, direction, u)]

    def work(start: int, stop: int) -> None:
        grid_kernels.smooth(*arrays, keep, take, start, stop)

    run(_pieces(size), work)


def restrict(force: Tensor, image: Tensor, children: Tensor, out: Tensor, size: int) -> None:
    """out = P^T (force - image); see :func:`lpbf.mechanics.grid_kernels.restrict`."""
    _over_nodes(grid_kernels.restrict, size, force, image, children, out)


def prolong(coarse: Tensor, parents: Tensor, u: Tensor, size: int) -> None:
    """u += P coarse; see :func:`lpbf.mechanics.grid_kernels.prolong`."""
    _over_nodes(grid_kernels.prolong, size, coarse, parents, u)


def _over_nodes(kernel: Callable[..., None], size: int, *tensors: Tensor) -> None:
    arrays = [t.numpy() for t in tensors]
    run(_pieces(size), lambda start, stop: kernel(*arrays, start, stop))


def _pieces(size: int) -> list[int]:
    return [*range(0, size, _PIECE), size]
