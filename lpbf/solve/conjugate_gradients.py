"""Preconditioned conjugate gradients."""

from typing import Literal

import torch
from torch import Tensor

from lpbf.solve import kernels_numba, kernels_torch
from lpbf.solve.linear_map import LinearMap


def conjugate_gradients(
    operator: LinearMap,
    precondition: LinearMap,
    force: Tensor,
    start: Tensor | None = None,
    *,
    target: float,
    max_iterations: int,
    order: Literal[1, 2] = 2,
) -> tuple[Tensor, int, float]:
    """Solve A u = force for a symmetric positive (semi)definite A.

    Directions are updated by the Polak-Ribiere formula, which tolerates a preconditioner that is
    symmetric to rounding only.

    Args:
        operator: A u.
        precondition: M r ~ A^-1 r.
        force: Right-hand side, of any shape.
        start: Initial guess; None for zero.
        target: Residual norm to reach.
        max_iterations: Maximum number of iterations. Reaching it is not an error.
        order: Norm of the residual: 2 for the Euclidean norm, 1 for the sum of absolute values.

    Returns:
        The solution, the number of iterations, and the residual norm.
    """
    kernels = kernels_numba if force.device.type == "cpu" else kernels_torch
    u = torch.zeros_like(force) if start is None else start.clone()
    residual = force.clone() if start is None else force - operator(u)
    norm = float(torch.linalg.vector_norm(residual, order))
    direction = torch.zeros_like(force)
    updates = kernels.Updates(u, residual, direction, order)
    energy, step, iteration = 1.0, 0.0, 0
    while norm > target and iteration < max_iterations:
        z = precondition(residual)
        # The Polak-Ribiere numerator z (r - r_old) is -step z A p.
        energy = updates.direction(z, -step / energy)
        step, reached = updates.solution(operator(direction))
        if step == 0:
            break  # A is not positive definite, or not finite
        norm, iteration = reached, iteration + 1
    return u, iteration, norm
