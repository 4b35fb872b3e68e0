"""Flow through a porous medium of two permeabilities."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.interpolate import make_interp_spline

from flare_mesh.datasets.generators.random_field import neumann_field

PERMEABLE, TIGHT = 12.0, 3.0


def darcy_coefficient(rng: np.random.Generator, resolution: int) -> NDArray[np.float64]:
    """Permeability of FNO's Darcy set: 12 where a Gaussian field is positive, 3 elsewhere.

    Shapes:
        Returns [resolution, resolution], at the centres of the cells.
    """
    return np.where(neumann_field(rng, resolution) >= 0, PERMEABLE, TIGHT)


def solve_darcy(coefficient: NDArray[np.float64]) -> NDArray[np.float64]:
    """The pressure of FNO's Darcy set: -div(a grad u) = 1 on the unit square, u = 0 on its border.

    As FNO's program does it: a is resampled from the centres of K x K cells to K x K nodes, u is
    solved for at the nodes and resampled to the centres, both by cubic splines. So u is small but
    not zero at the outermost of the centres; a overshoots where it jumps, and may even be negative
    at single nodes, of which most are on the border.

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
    """Solves -div(a grad u) = f on the unit square, u = 0 on its border, by finite differences.

    Second order; between two nodes a is the mean of theirs. Conjugate gradients, preconditioned by
    fast sine transforms: the number of iterations grows with the square root of max a / min a and
    hardly with K.

    Args:
        coefficient: a at the nodes i / (K - 1).
        source: f at the nodes, or a number.
        rtol: Residual at which it stops, relative to f.
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

    def apply(u: NDArray[np.float64]) -> NDArray[np.float64]:
        result = diagonal * u
        result[1:] -= down * u[:-1]
        result[:-1] -= down * u[1:]
        result[:, 1:] -= across * u[:, :-1]
        result[:, :-1] -= across * u[:, 1:]
        return result

    inverse = _inverse_laplacian(size - 2)

    def precondition(residual: NDArray[np.float64]) -> NDArray[np.float32]:
        # In single precision: it only has to be near the inverse, and close to symmetric.
        waves = np.asarray(fft.dstn(residual.astype(np.float32), type=1, norm="ortho"))
        waves *= inverse
        return np.asarray(fft.dstn(waves, type=1, norm="ortho", overwrite_x=True))

    right = np.broadcast_to(source, (size, size))[1:-1, 1:-1] / (size - 1) ** 2
    result = np.zeros((size, size))
    result[1:-1, 1:-1] = _conjugate_gradients(apply, precondition, right, rtol, max_iterations)
    return result


def _conjugate_gradients(apply, precondition, right, rtol, max_iterations):
    """Solves apply(x) = right; the preconditioner is applied inexactly."""
    x = np.zeros_like(right)
    residual = right.copy()
    limit = rtol * np.linalg.norm(right)
    direction, before = np.zeros_like(right), 1.0
    for _ in range(max_iterations):
        if np.linalg.norm(residual) <= limit:
            return x
        step = precondition(residual)
        now = np.vdot(residual, step)
        direction *= now / before
        direction += step
        image = apply(direction)
        length = now / np.vdot(direction, image)
        x += length * direction
        residual -= length * image
        before = now
    raise RuntimeError(
        f"Darcy's equation on {len(x)} x {len(x)} nodes did not converge in {max_iterations} "
        f"iterations (residual {np.linalg.norm(residual) / np.linalg.norm(right):.1e})"
    )


@lru_cache(maxsize=4)
def _inverse_laplacian(size: int) -> NDArray[np.float32]:
    """Of the five-point stencil [-1, -1, 4, -1, -1], in the sines of ``size`` inner nodes."""
    eigenvalues = 2 - 2 * np.cos(np.pi * np.arange(1, size + 1) / (size + 1))
    return (1 / (eigenvalues[:, None] + eigenvalues)).astype(np.float32)


@lru_cache(maxsize=4)
def _resampling(size: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Matrices [K, K] of the cubic splines from centres to nodes and from nodes to centres."""
    centers = (np.arange(size) + 0.5) / size
    nodes = np.linspace(0, 1, size)
    unit = np.eye(size)
    return (
        make_interp_spline(centers, unit, k=3)(nodes),
        make_interp_spline(nodes, unit, k=3)(centers),
    )
