"""Conjugate gradients with Jacobi's preconditioner, compiled for the CPU."""

import numpy as np

from flare_mesh.compiled.jit import FAST_SUM, jit


@jit(fastmath=FAST_SUM)
def cg_kernel(diagonal, links, neighbours, force, target, max_iterations):
    """Solution, iterations and the sum of the absolute residuals.

    On one thread, so that the result does not depend on their number.
    """
    n = len(force)
    inverse = 1.0 / diagonal
    x, residual = np.zeros(n), force.copy()
    direction, image = np.zeros(n), np.empty(n)
    error, energy, ratio = 0.0, 0.0, 0.0
    for e in range(n):
        error += abs(residual[e])
        energy += residual[e] * residual[e] * inverse[e]
    iterations = 0
    while error > target and iterations < max_iterations:
        for e in range(n):
            direction[e] = inverse[e] * residual[e] + ratio * direction[e]
        curvature = 0.0
        for e in range(n):
            product = diagonal[e] * direction[e]
            product -= links[0, e] * direction[neighbours[0, e]]
            product -= links[1, e] * direction[neighbours[1, e]]
            product -= links[2, e] * direction[neighbours[2, e]]
            product -= links[3, e] * direction[neighbours[3, e]]
            product -= links[4, e] * direction[neighbours[4, e]]
            product -= links[5, e] * direction[neighbours[5, e]]
            image[e] = product
            curvature += product * direction[e]
        step = energy / curvature
        error, previous, energy = 0.0, energy, 0.0
        for e in range(n):
            x[e] += step * direction[e]
            residual[e] -= step * image[e]
            error += abs(residual[e])
            energy += residual[e] * residual[e] * inverse[e]
        ratio = energy / previous
        iterations += 1
    return x, iterations, error
