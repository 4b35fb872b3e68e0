"""Gaussian random fields on the unit square, by their Karhunen-Loève expansion."""

import numpy as np
from numpy.typing import NDArray
from scipy import fft


def neumann_field(
    rng: np.random.Generator, size: int, *, alpha: float = 2.0, tau: float = 3.0
) -> NDArray[np.float64]:
    """Sample of N(0, tau^(2 alpha - 2) (-Laplace + tau^2)^-alpha) with zero normal derivative.

    Without the constant mode, as in FNO's generator (arXiv 2010.08895). Values at the centres of
    the cells, (i + 1/2) / size. A finer grid gives the same sample with more modes.

    Args:
        rng: Random number generator.
        size: Cells along a side.
        alpha: Smoothness.
        tau: Inverse length scale.

    Shapes:
        Returns [size, size].
    """
    first, second = np.divmod(np.arange(size**2), size)
    spectrum = _spectrum(np.pi**2 * (first**2 + second**2), alpha, tau)
    coefficients = spectrum * _normals(rng, first, second)[0]
    waves = size * coefficients.reshape(size, size)
    return np.asarray(fft.idctn(waves, type=2, norm="ortho", overwrite_x=True))


def periodic_field(
    rng: np.random.Generator, size: int, *, alpha: float = 2.5, tau: float = 7.0
) -> NDArray[np.float64]:
    """Periodic sample of N(0, tau^(2 alpha - 2) (-Laplace + tau^2)^-alpha).

    Without the constant mode. The covariance is that of FNO's program (arXiv 2010.08895); the
    paper has the factor tau^((2 alpha - 2) / 2). Values at i / size. A finer grid gives the same
    sample with more modes.

    Args:
        rng: Random number generator.
        size: Points along a side.
        alpha: Smoothness.
        tau: Inverse length scale.

    Shapes:
        Returns [size, size].
    """
    limit = (size - 1) // 2  # the mode size / 2 has no conjugate
    numbers = np.arange(-limit, limit + 1)
    first, second = (k.ravel() for k in np.meshgrid(numbers, numbers, indexing="ij"))
    spectrum = _spectrum(4 * np.pi**2 * (first**2 + second**2), alpha, tau)
    real, imaginary = _normals(rng, first, second)
    coefficients = np.zeros((size, size), dtype=complex)
    coefficients[first, second] = size**2 * spectrum * (real + 1j * imaginary)
    return np.real(np.asarray(fft.ifft2(coefficients)))


def _spectrum(eigenvalues: NDArray[np.floating], alpha: float, tau: float) -> NDArray[np.float64]:
    """Standard deviations of the coefficients; zero for the constant mode."""
    scale = tau ** (alpha - 1)
    return np.where(eigenvalues > 0, scale * (eigenvalues + tau**2) ** (-alpha / 2), 0)


def _normals(
    rng: np.random.Generator, first: NDArray[np.integer], second: NDArray[np.integer]
) -> NDArray[np.float64]:
    """Two normal numbers for each pair of wave numbers, [2, len(first)].

    The order of the draws is that of the wave numbers, so that a finer grid only adds draws.
    """
    order = np.lexsort((second, first, np.maximum(abs(first), abs(second))))
    drawn = np.empty((len(first), 2))
    drawn[order] = rng.standard_normal((len(first), 2))
    return drawn.T
