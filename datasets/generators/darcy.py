"""Darcy flow through a two-phase porous medium."""

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.interpolate import make_interp_spline
from scipy.sparse.linalg import LinearOperator, cg

from flare_mesh.datasets.generators.random_field import neumann_field

PERMEABLE, TIGHT = 12.0, 3.0


def darcy_coefficient(rng: np.random.Generator, resolution: int) -> NDArray[np.float64]:
    """Random permeability of FNO's Darcy set: 12 where a Gaussian field is positive, 3 elsewhere.

    Shapes:
        Returns [resolution, resolution], at the centres of the cells.
    """
    return np.where(neumann_field(rng, resolution) >= 0, PERMEABLE, TIGHT)


def solve_darcy(coefficient: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pressure of FNO's Darcy set: -div(a grad u) = 1 on the unit square, u = 0 on its boundary.

    Follows FNO's program: cubic splines resample a from the centres of K x K cells to K x K nodes,
    and the nodal solution u back to the centres. Therefore u is small but not zero at the outermost
    centres, and a overshoots at its jumps and may be negative at single nodes, mostly on the
    boundary.

    Args:
        coefficient: Permeability a at the centres of the cells.

    Shapes:
        coefficient and the result [K, K].

    Raises:
        RuntimeError: If the solver does not converge.
    """
    to_nodes, to_centers = _resampling(len(coefficient))
    pressure = solve_on_nodes(to_nodes @ coefficient @ to_nodes.T)
    return to_centers @ pressure @ to_centers.T


def solve_on_nodes(
    coefficient: NDArray[np.float64],
    source: NDArray[np.float64] | float = 1.0,
    *,
    rtol: float = 1e-10,
    max_iterations: int = 500,
) -> NDArray[np.float64]:
    """Solve -div(a grad u) = f on the unit square, u = 0 on its boundary, by finite differences.

    Second order, with the mean of a between two nodes. The conjugate gradients are preconditioned
    by fast sine transforms, so the number of iterations grows with the square root of
    max a / min a and hardly with K.

    Args:
        coefficient: a at the nodes i / (K - 1).
        source: f at the nodes, or a number.
        rtol: Residual at which the iteration stops, relative to f.
        max_iterations: Limit of iterations.

    Shapes:
        coefficient, source and the result [K, K].

    Raises:
        RuntimeError: If it does not converge.
    """
    size = len(coefficient)
    down = (coefficient[1:, 1:-1] + coefficient[:-1, 1:-1]) / 2
    across = (coefficient[1:-1, 1:] + coefficient[1:-1, :-1]) / 2
    diagonal = down[1:] + down[:-1] + across[:, 1:] + across[:, :-1]
    down, across = down[1:-1], across[:, 1:-1]

    def apply(unknowns: NDArray[np.float64]) -> NDArray[np.float64]:
        u = unknowns.reshape(diagonal.shape)
        result = diagonal * u
        result[1:] -= down * u[:-1]
        result[:-1] -= down * u[1:]
        result[:, 1:] -= across * u[:, :-1]
        result[:, :-1] -= across * u[:, 1:]
        return result.ravel()

    inverse = _inverse_laplacian(size - 2)

    def precondition(residual: NDArray[np.float64]) -> NDArray[np.float32]:
        # Single precision suffices: it only has to approximate the inverse.
        waves = np.asarray(
            fft.dstn(residual.reshape(inverse.shape).astype(np.float32), 1, norm="ortho")
        )
        waves *= inverse
        return np.asarray(fft.dstn(waves, 1, norm="ortho", overwrite_x=True)).ravel()

    square = (diagonal.size, diagonal.size)
    # The stubs describe the base class, not the factory that its call is.
    linear_operator: Any = LinearOperator
    operator = linear_operator(square, matvec=apply, dtype=np.float64)
    inexact = linear_operator(square, matvec=precondition, dtype=np.float64)
    right = (np.broadcast_to(source, (size, size))[1:-1, 1:-1] / (size - 1) ** 2).ravel()
    solution, failed = cg(operator, right, rtol=rtol, maxiter=max_iterations, M=inexact)
    if failed:
        residual = np.linalg.norm(right - apply(solution)) / np.linalg.norm(right)
        raise RuntimeError(
            f"Darcy's equation on {size} x {size} nodes did not converge in {max_iterations} "
            f"iterations (residual {residual:.1e})"
        )
    result = np.zeros((size, size))
    result[1:-1, 1:-1] = solution.reshape(diagonal.shape)
    return result


@lru_cache(maxsize=4)
def _inverse_laplacian(size: int) -> NDArray[np.float32]:
    """Inverse eigenvalues of the five-point stencil [-1, -1, 4, -1, -1] on ``size`` inner nodes."""
    eigenvalues = 2 - 2 * np.cos(np.pi * np.arange(1, size + 1) / (size + 1))
    return (1 / (eigenvalues[:, None] + eigenvalues)).astype(np.float32)


@lru_cache(maxsize=4)
def _resampling(size: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Cubic spline matrices [K, K] from centres to nodes and from nodes to centres."""
    centers = (np.arange(size) + 0.5) / size
    nodes = np.linspace(0, 1, size)
    unit = np.eye(size)
    return (
        make_interp_spline(centers, unit, k=3)(nodes),
        make_interp_spline(nodes, unit, k=3)(centers),
    )
