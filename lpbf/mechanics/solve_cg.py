"""The layered equilibrium by conjugate gradients: memory linear in the nodes, for any size."""

import torch

from lpbf.errors import SolverError
from lpbf.mechanics.build import Build, Displacements


def solve_cg(
    build: Build, *, tolerance: float = 1e-9, max_iterations: int = 20_000
) -> Displacements:
    """Conjugate gradients on each step, matrix-free on torch, with a 3 x 3 block preconditioner.

    Memory grows with the nodes only. Each step starts from the increment of the step before.

    Args:
        build: The mesh in layers.
        tolerance: Residual norm relative to the step's load.
        max_iterations: Limit for each step.

    Raises:
        SolverError: If a step does not converge.
    """
    cells = torch.from_numpy(build.mesh.cells)
    stiffness = torch.from_numpy(build.brick.stiffness)
    layer = torch.from_numpy(build.node_layer)
    corner_blocks = torch.stack([stiffness[3 * a : 3 * a + 3, 3 * a : 3 * a + 3] for a in range(8)])
    zeros = torch.zeros(len(layer), 3, dtype=torch.float64)
    total, born, step = zeros.clone(), zeros.clone(), zeros.clone()
    diagonal = torch.zeros(len(layer), 3, 3, dtype=torch.float64)
    for n in range(build.num_layers):
        newest = build.cells_of(n)
        active = cells[: newest.stop]
        # Nodes are numbered upwards, so those of the standing layers are a leading range.
        size = int(active.max()) + 1
        free = ((layer[:size] >= 0) & (layer[:size] <= n))[:, None]
        corners = cells[newest]
        load = torch.from_numpy(build.layer_load[n].reshape(8, 3)).expand(len(corners), 8, 3)
        force = _scatter(corners, load, size) * free
        diagonal.index_add_(0, corners.flatten(), corner_blocks.repeat(len(corners), 1, 1))
        blocks = torch.where(free[:, :, None], diagonal[:size], torch.eye(3, dtype=torch.float64))
        inverse = torch.linalg.inv(blocks)

        def apply(u, active=active, size=size, free=free):
            product = u[active].flatten(1) @ stiffness
            return _scatter(active, product.unflatten(1, (8, 3)), size) * free

        step[:size] = _conjugate_gradients(
            apply, inverse, force, step[:size] * free, tolerance, max_iterations, n
        )
        total += step
        new = layer == n
        born[new] = step[new]
    return total.numpy(), born.numpy()


def _scatter(corners: torch.Tensor, values: torch.Tensor, size: int) -> torch.Tensor:
    """Sums values [E, 8, 3] at the cell corners into nodes, [size, 3]."""
    out = torch.zeros(size, 3, dtype=values.dtype)
    return out.index_add_(0, corners.flatten(), values.reshape(-1, 3))


def _conjugate_gradients(apply, inverse, force, start, tolerance, max_iterations, n):
    u = start
    residual = force - apply(u)
    target = tolerance * float(force.norm())
    z = torch.einsum("nij,nj->ni", inverse, residual)
    direction, rho = z, float((residual * z).sum())
    for _ in range(max_iterations):
        if float(residual.norm()) <= target:
            return u
        image = apply(direction)
        alpha = rho / float((direction * image).sum())
        u = u + alpha * direction
        residual = residual - alpha * image
        z = torch.einsum("nij,nj->ni", inverse, residual)
        rho, previous = float((residual * z).sum()), rho
        direction = z + (rho / previous) * direction
    raise SolverError(
        f"layer {n}: conjugate gradients did not converge in {max_iterations} iterations "
        f"(residual {float(residual.norm()):.3g} N, target {target:.3g} N)"
    )
