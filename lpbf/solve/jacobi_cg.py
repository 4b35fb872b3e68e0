"""Conjugate gradients with Jacobi's preconditioner."""

import torch
from torch import Tensor

from lpbf.core.errors import SolverError
from lpbf.solve.cell_stencil import Stencil
from lpbf.solve.jacobi_cg_kernel import cg_kernel


def conjugate_gradients(
    matrix: Stencil,
    force: Tensor,
    target: float,
    *,
    max_iterations: int,
    name: str,
) -> tuple[Tensor, int]:
    """Solution of matrix x = force, and the iterations it took.

    Args:
        matrix: Symmetric and positive definite.
        force: [n].
        target: Sum of the absolute residuals, in the unit of the force.
        max_iterations: Limit.
        name: Of the system, for the message.

    Raises:
        SolverError: If the target is not reached.
    """
    solve = _compiled if force.device.type == "cpu" else _on_tensors
    x, iterations, error = solve(matrix, force, target, max_iterations)
    if not error <= target:
        raise SolverError(
            f"{name}: the conjugate gradients did not converge in {iterations} iterations "
            f"(residual {error / float(force.abs().sum()):.2e} of the first one); take more "
            f"time_steps or a smaller growth"
        )
    return x, iterations


def _compiled(
    matrix: Stencil, force: Tensor, target: float, max_iterations: int
) -> tuple[Tensor, int, float]:
    x, iterations, error = cg_kernel(
        matrix.diagonal.numpy(),
        matrix.links.numpy(),
        matrix.neighbours.numpy(),
        force.numpy(),
        target,
        max_iterations,
    )
    return torch.from_numpy(x), iterations, error


def _on_tensors(
    matrix: Stencil, force: Tensor, target: float, max_iterations: int
) -> tuple[Tensor, int, float]:
    residual, inverse = force.clone(), 1 / matrix.diagonal
    x = torch.zeros_like(residual)
    direction = inverse * residual
    energy, error = residual @ direction, float(residual.abs().sum())
    iterations = 0
    while error > target and iterations < max_iterations:
        image = matrix.apply(direction)
        step = energy / (direction @ image)
        x.addcmul_(step, direction)
        residual.addcmul_(step, image, value=-1)
        preconditioned = inverse * residual
        previous, energy = energy, residual @ preconditioned
        direction = torch.addcmul(preconditioned, energy / previous, direction)
        error = float(residual.abs().sum())
        iterations += 1
    return x, iterations, error
