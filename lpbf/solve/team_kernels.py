"""Loops of the solvers on several threads, compiled for the CPU; see ``flare_mesh.compiled.team``.

A task is a chunk of cells or nodes, whose loop is in ``brick_kernels`` or ``grid_kernels``. The
bounds of the chunks do not depend on the number of threads.
"""

from flare_mesh.compiled.jit import jit
from flare_mesh.compiled.team import fork, next_task
from lpbf.solve import brick_kernels, grid_kernels


@jit
def multiply_bricks(team, u, out, corners, blocks, kind, factor, bounds, first):
    """Add K u of every second chunk of cells, from the chunk ``first`` on, to ``out``."""
    if fork(team):
        return
    chunk = first + 2 * next_task(team)
    while chunk < len(bounds) - 1:
        start, stop = bounds[chunk], bounds[chunk + 1]
        brick_kernels.multiply_bricks(u, out, corners, blocks, kind, factor, start, stop)
        chunk = first + 2 * next_task(team)


@jit
def multiply_node_stencil(team, size, chunk, u, out, stencil, neighbours):
    """:func:`lpbf.solve.grid_kernels.multiply_node_stencil` of the first ``size`` nodes."""
    if fork(team):
        return
    start = chunk * next_task(team)
    while start < size:
        stop = min(start + chunk, size)
        grid_kernels.multiply_node_stencil(u, out, stencil, neighbours, start, stop)
        start = chunk * next_task(team)


@jit
def smooth(team, size, chunk, force, image, inverse, direction, u, momentum, step):
    """:func:`lpbf.solve.grid_kernels.smooth` of the first ``size`` nodes."""
    if fork(team):
        return
    start = chunk * next_task(team)
    while start < size:
        stop = min(start + chunk, size)
        grid_kernels.smooth(force, image, inverse, direction, u, momentum, step, start, stop)
        start = chunk * next_task(team)


@jit
def restrict(team, size, chunk, force, image, children, out):
    """:func:`lpbf.solve.grid_kernels.restrict` of the first ``size`` nodes."""
    if fork(team):
        return
    start = chunk * next_task(team)
    while start < size:
        stop = min(start + chunk, size)
        grid_kernels.restrict(force, image, children, out, start, stop)
        start = chunk * next_task(team)


@jit
def prolong(team, size, chunk, coarse, parents, u):
    """:func:`lpbf.solve.grid_kernels.prolong` of the first ``size`` nodes."""
    if fork(team):
        return
    start = chunk * next_task(team)
    while start < size:
        stop = min(start + chunk, size)
        grid_kernels.prolong(coarse, parents, u, start, stop)
        start = chunk * next_task(team)
