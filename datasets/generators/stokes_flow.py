"""Slow viscous flow through a channel, by Taylor-Hood elements."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_mesh.datasets.generators.plane_mesh import TriangleMesh


def solve_stokes(
    mesh: TriangleMesh, length: float, height: float, speed: float, viscosity: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Velocity and pressure of a channel flow: mu Laplace u = grad p, div u = 0.

    The inflow at x = 0 is parabolic, u = 6 U y (H - y) / H^2, the fluid sticks to all walls, and
    p n = mu du/dn at the outlet x = L. Quadratic velocities and linear pressures (Taylor and Hood
    1973).

    Args:
        mesh: Triangles of the channel.
        length: Length L of the channel.
        height: Height H of the channel.
        speed: Mean speed U of the inflow.
        viscosity: Viscosity mu.

    Returns:
        Velocity [N, 2] and pressure [N] at the points of the mesh.

    Raises:
        RuntimeError: If the solver fails.
    """
    import skfem
    from scipy.sparse.linalg import splu

    triangles = mesh.for_scikit_fem()
    flow: Any = skfem.Basis(triangles, skfem.ElementTriP2(), intorder=4)
    pressure: Any = skfem.Basis(triangles, skfem.ElementTriP1(), intorder=4)
    diffusion: Any = skfem.BilinearForm(
        lambda u, v, _: viscosity * (u.grad[0] * v.grad[0] + u.grad[1] * v.grad[1])
    ).assemble(flow)
    divergence = [
        skfem.BilinearForm(lambda u, q, _, axis=axis: -u.grad[axis] * q).assemble(flow, pressure)
        for axis in range(2)
    ]
    matrix: Any = skfem.bmat(
        [
            [diffusion, None, divergence[0].T],
            [None, diffusion, divergence[1].T],
            [divergence[0], divergence[1], None],
        ],
        "csc",
    )
    x, y = flow.doflocs
    walls = np.setdiff1d(flow.get_dofs().all(), np.flatnonzero(np.isclose(x, length)))
    # The corners of the outlet belong to the walls.
    corners = np.flatnonzero(np.isclose(x, length) & (np.isclose(y, 0) | np.isclose(y, height)))
    held = np.concatenate([walls, corners])
    solution = np.zeros(matrix.shape[0])
    inlet = np.flatnonzero(np.isclose(x, 0))
    solution[inlet] = 6 * speed * y[inlet] * (height - y[inlet]) / height**2
    free = np.setdiff1d(np.arange(len(solution)), np.concatenate([held, flow.N + held]))
    right = -(matrix @ solution)[free]
    solution[free] = splu(matrix[free][:, free]).solve(right)
    vertices = flow.nodal_dofs[0]
    velocity = np.stack([solution[vertices], solution[flow.N + vertices]], axis=1)
    return velocity, solution[2 * flow.N :][pressure.nodal_dofs[0]]
