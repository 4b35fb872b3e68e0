"""The two halves of a multigrid cycle on one level, compiled for the CPU, on one thread.

A small grid takes less time than the calls of its separate steps from Python. Arguments are those
of :mod:`lpbf.solve.grid_kernels`, ``operator`` is that of :func:`multiply`, and ``coefficients``
[k, 2] are the momentum and the step of each smoothing step.
"""

from numba.extending import overload

from flare_mesh.compiled.jit import jit
from lpbf.solve.brick_kernels import multiply_bricks
from lpbf.solve.grid_kernels import multiply_node_stencil, prolong, restrict, smooth


def multiply(u, out, operator, size):
    """Product of a level's operator with u.

    ``operator`` holds corners, blocks, kind, factor and bounds of the chunks of
    :func:`lpbf.solve.brick_kernels.multiply_bricks`; or, on a coarse grid, stencil and neighbours.
    """
    raise NotImplementedError("for compiled code only")


@overload(multiply)
def _multiply(u, out, operator, size):
    if len(operator) == 2:

        def by_stencil(u, out, operator, size):
            stencil, neighbours = operator
            multiply_node_stencil(u, out, stencil, neighbours, 0, size)

        return by_stencil

    def by_bricks(u, out, operator, size):
        corners, blocks, kind, factor, bounds = operator
        out[:, :size] = 0
        for first in range(2):  # in the order of the sums on several threads
            for chunk in range(first, len(bounds) - 1, 2):
                start, stop = bounds[chunk], bounds[chunk + 1]
                multiply_bricks(u, out, corners, blocks, kind, factor, start, stop)

    return by_bricks


@jit
def descend(
    force, image, inverse, direction, u, operator, coefficients, children, out, size, coarse_size
):
    """Smooth from u = 0, and write the restricted residual to ``out``."""
    u[:, :size] = 0
    image[:, :size] = 0
    for n in range(len(coefficients)):
        if n:
            multiply(u, image, operator, size)
        momentum, step = coefficients[n]
        smooth(force, image, inverse, direction, u, momentum, step, 0, size)
    multiply(u, image, operator, size)
    restrict(force, image, children, out, 0, coarse_size)


@jit
def ascend(force, image, inverse, direction, u, operator, coefficients, parents, coarse, size):
    """Add the prolonged ``coarse`` correction to u, and smooth."""
    prolong(coarse, parents, u, 0, size)
    for n in range(len(coefficients)):
        multiply(u, image, operator, size)
        momentum, step = coefficients[n]
        smooth(force, image, inverse, direction, u, momentum, step, 0, size)
