"""The two halves of a multigrid cycle on one level, compiled for the CPU, on one thread.

A small grid takes less time than the calls of its separate steps from Python. Arguments are those
of :mod:`lpbf.solve.grid_kernels`, and ``coefficients`` [k, 2] are the momentum and the step of each
smoothing step.
"""

from flare_mesh.compiled.jit import jit
from lpbf.solve.brick_kernels import multiply_bricks
from lpbf.solve.grid_kernels import multiply_node_stencil, prolong, restrict, smooth


@jit
def _multiply(u, out, corners, blocks, factor, bounds, size):
    out[:, :size] = 0
    for first in range(2):  # in the order of the sums on several threads
        for chunk in range(first, len(bounds) - 1, 2):
            multiply_bricks(u, out, corners, blocks, factor, bounds[chunk], bounds[chunk + 1])


@jit
def descend_bricks(
    force, image, inverse, direction, u, operator, coefficients, children, out, size, coarse_size
):
    """Smooth from u = 0, and write the restricted residual to ``out``.

    ``operator`` holds corners, blocks, factor and bounds of the chunks; see
    :func:`lpbf.solve.brick_kernels.multiply_bricks`.
    """
    corners, blocks, factor, bounds = operator
    u[:, :size] = 0
    image[:, :size] = 0
    for n in range(len(coefficients)):
        if n:
            _multiply(u, image, corners, blocks, factor, bounds, size)
        momentum, step = coefficients[n]
        smooth(force, image, inverse, direction, u, momentum, step, 0, size)
    _multiply(u, image, corners, blocks, factor, bounds, size)
    restrict(force, image, children, out, 0, coarse_size)


@jit
def ascend_bricks(
    force, image, inverse, direction, u, operator, coefficients, parents, coarse, size
):
    """Add the prolonged ``coarse`` correction to u, and smooth."""
    corners, blocks, factor, bounds = operator
    prolong(coarse, parents, u, 0, size)
    for n in range(len(coefficients)):
        _multiply(u, image, corners, blocks, factor, bounds, size)
        momentum, step = coefficients[n]
        smooth(force, image, inverse, direction, u, momentum, step, 0, size)


@jit
def descend_stencil(
    force, image, inverse, direction, u, operator, coefficients, children, out, size, coarse_size
):
    """As :func:`descend_bricks`, for a coarse grid; ``operator`` holds stencil and neighbours."""
    stencil, neighbours = operator
    u[:, :size] = 0
    image[:, :size] = 0
    for n in range(len(coefficients)):
        if n:
            multiply_node_stencil(u, image, stencil, neighbours, 0, size)
        momentum, step = coefficients[n]
        smooth(force, image, inverse, direction, u, momentum, step, 0, size)
    multiply_node_stencil(u, image, stencil, neighbours, 0, size)
    restrict(force, image, children, out, 0, coarse_size)


@jit
def ascend_stencil(
    force, image, inverse, direction, u, operator, coefficients, parents, coarse, size
):
    """As :func:`ascend_bricks`, for a coarse grid."""
    stencil, neighbours = operator
    prolong(coarse, parents, u, 0, size)
    for n in range(len(coefficients)):
        multiply_node_stencil(u, image, stencil, neighbours, 0, size)
        momentum, step = coefficients[n]
        smooth(force, image, inverse, direction, u, momentum, step, 0, size)
