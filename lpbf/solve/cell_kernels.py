"""Loops over the cells of a :class:`lpbf.solve.cell_stencil.CellStencil`, compiled for the CPU.

They run on one thread, so that the result does not depend on the number of threads.
"""

import numpy as np

from flare_mesh.compiled.jit import jit
from lpbf.solve.cg_kernels import update_direction, update_solution

# Share of the dropped fill-in that is added to the diagonal. With 0 the iterations grow faster with
# the mesh; with 1 a pivot may be zero to rounding.
_MODIFIED = 0.97


@jit
def multiply_cells(x, out, diagonal, links, neighbours):
    """Write A x to ``out``."""
    for e in range(len(x)):
        total = diagonal[e] * x[e]
        total -= links[0, e] * x[neighbours[0, e]]
        total -= links[1, e] * x[neighbours[1, e]]
        total -= links[2, e] * x[neighbours[2, e]]
        total -= links[3, e] * x[neighbours[3, e]]
        total -= links[4, e] * x[neighbours[4, e]]
        total -= links[5, e] * x[neighbours[5, e]]
        out[e] = total


@jit
def exchange_cells(x, out, links, neighbours):
    """Write the sum over the neighbours of link (x - x_neighbour) to ``out``."""
    for e in range(len(x)):
        own = x[e]
        total = links[0, e] * (own - x[neighbours[0, e]])
        total += links[1, e] * (own - x[neighbours[1, e]])
        total += links[2, e] * (own - x[neighbours[2, e]])
        total += links[3, e] * (own - x[neighbours[3, e]])
        total += links[4, e] * (own - x[neighbours[4, e]])
        total += links[5, e] * (own - x[neighbours[5, e]])
        out[e] = total


@jit
def factorize(diagonal, links, neighbours):
    """Inverse pivots [n] of the modified incomplete Cholesky factorisation without fill-in."""
    inverse = np.empty_like(diagonal)
    for e in range(len(diagonal)):
        pivot = diagonal[e]
        for side in (0, 2, 4):  # the neighbours with lower numbers
            link, other = links[side, e], neighbours[side, e]
            if link > 0:
                fill = links[1, other] + links[3, other] + links[5, other] - link
                pivot -= link * (link + _MODIFIED * fill) * inverse[other]
        inverse[e] = 1 / pivot
    return inverse


@jit
def substitute(residual, z, inverse, links, neighbours):
    """Write (L D L^T)^-1 residual to ``z`` by forward and backward substitution."""
    n = len(residual)
    for e in range(n):
        total = residual[e] + links[4, e] * z[neighbours[4, e]] + links[2, e] * z[neighbours[2, e]]
        z[e] = (total + links[0, e] * z[neighbours[0, e]]) * inverse[e]
    for i in range(n):
        e = n - 1 - i
        total = links[5, e] * z[neighbours[5, e]] + links[3, e] * z[neighbours[3, e]]
        z[e] += (total + links[1, e] * z[neighbours[1, e]]) * inverse[e]


@jit
def solve_cells(diagonal, links, neighbours, force, target, max_iterations):
    """Conjugate gradients with the preconditioner of :func:`substitute`, from zero.

    The steps of :func:`lpbf.solve.conjugate_gradients.conjugate_gradients`, with the sum of the
    absolute values as norm, in one call.

    Returns:
        The solution [n], the number of iterations, and the norm of the residual.
    """
    inverse = factorize(diagonal, links, neighbours)
    u, direction, image = np.zeros_like(force), np.zeros_like(force), np.zeros_like(force)
    z, residual = np.zeros_like(force), force.copy()
    norm, energy, step, iteration = np.abs(force).sum(), 1.0, 0.0, 0
    while norm > target and iteration < max_iterations:
        substitute(residual, z, inverse, links, neighbours)
        energy = update_direction(direction, z, residual, image, -step / energy)
        multiply_cells(direction, image, diagonal, links, neighbours)
        step, reached = update_solution(u, residual, direction, image, 1)
        if step == 0:
            break
        norm = reached
        iteration += 1
    return u, iteration, norm
