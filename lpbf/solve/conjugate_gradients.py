"""Preconditioned conjugate gradients."""

from collections.abc import Callable

import torch
from torch import Tensor

Operator = Callable[[Tensor], Tensor]


def conjugate_gradients(
    operator: Operator,
    precondition: Operator,
    force: Tensor,
    start: Tensor | None,
    *,
    target: float,
    max_iterations: int,
) -> tuple[Tensor, int, float]:
    """Solves A u = force for a symmetric positive (semi)definite A.

    The step's weight is Polak and Ribiere's, which forgives a preconditioner that is symmetric to
    rounding only.

    Args:
        operator: A u.
        precondition: M r ~ A^-1 r; may return the same tensor in every call.
        force: Any shape.
        start: Where to begin, or None for zero.
        target: Residual norm to reach.
        max_iterations: Stops there even if the target is not reached.

    Returns:
        The solution, the number of iterations, and the residual norm.
    """
    u = torch.zeros_like(force) if start is None else start.clone()
    residual = force.clone() if start is None else force - operator(u)
    norm = float(residual.norm())
    direction = torch.zeros_like(force)
    rho, alpha, iteration = 1.0, 0.0, 0
    image = torch.zeros_like(force)
    while norm > target and iteration < max_iterations:
        z = precondition(residual)
        previous, rho = rho, float(torch.vdot(residual.flatten(), z.flatten()))
        # z (r - r_old) = -alpha z A p
        beta = -alpha * float(torch.vdot(z.flatten(), image.flatten())) / previous
        direction.mul_(beta).add_(z)
        image = operator(direction)
        curvature = float(torch.vdot(direction.flatten(), image.flatten()))
        if not curvature > 0:
            break  # not positive definite, or not finite
        alpha = float(torch.vdot(residual.flatten(), direction.flatten())) / curvature
        u.add_(direction, alpha=alpha)
        residual.add_(image, alpha=-alpha)
        norm = float(residual.norm())
        iteration += 1
    return u, iteration, norm
