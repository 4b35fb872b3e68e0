"""Gaussian random fields on the unit square, by their Karhunen-Loève expansion."""

import numpy as np
from numpy.typing import NDArray
from scipy import fft


def neumann_field(
    rng: np.random.Generator, size: int, *, alpha: float = 2.0, tau: float = 3.0
) -> NDArray[np.float64]:
    """A sample of N(0, tau^(2 alpha - 2) (-Laplace + tau^2)^-alpha), zero normal derivative.

    The constant mode is left out, as in FNO's generator (arXiv 2010.08895). Values at the centres
    of the cells, (i + 1/2) / size. A finer grid shows the same sample with more modes.

    Args:
        rng: Source of the coefficients.
        size: Cells along a side.
        alpha: Smoothness.
        tau: Inverse length scale.

    Shapes:
        Returns [size, size].
    """
    first, second = np.divmod(np.arange(size**2), size)
    spectrum = _spectrum(np.pi**2 * (first**2 + second**2), alpha, tau, tau ** (alpha - 1))
    coefficients = spectrum * _normals(rng, first, second)[0]
    waves = size * coefficients.reshape(size, size)
    return np.asarray(fft.idctn(waves, type=2, norm="ortho", overwrite_x=True))


def periodic_field(
    rng: np.random.Generator, size: int, *, alpha: float = 2.5, tau: float = 7.0
) -> NDArray[np.float64]:
    """A periodic sample of N(0, tau^(2 alpha - 2) (-Laplace + tau^2)^-alpha).

    The constant mode is left out. The covariance is that of FNO's program (arXiv 2010.08895); its
    text has the factor tau^((2 alpha - 2) / 2). Values at i / size. A finer grid shows the same
    sample with more modes.

    Args:
        rng: Source of the coefficients.
        size: Points along a side.
        alpha: Smoothness.
        tau: Inverse length scale.

    Shapes:
        Returns [size, size].
    """
    limit = (size - 1) // 2  # a mode of size / 2 would lack its partner
    numbers = np.arange(-limit, limit + 1)
    first, second = (k.ravel() for k in np.meshgrid(numbers, numbers, indexing="ij"))
    spectrum = _spectrum(4 * np.pi**2 * (first**2 + second**2), alpha, tau, tau ** (alpha - 1))
    real, imaginary = _normals(rng, first, second)
    coefficients = np.zeros((size, size), dtype=complex)
    coefficients[first, second] = size**2 * spectrum * (real + 1j * imaginary)
    return np.real(np.asarray(fft.ifft2(coefficients)))


def _spectrum(
    eigenvalues: NDArray[np.floating], alpha: float, tau: float, scale: float
) -> NDArray[np.float64]:
    """Standard deviations of the coefficients; none for the constant mode."""
    return np.where(eigenvalues > 0, scale * (eigenvalues + tau**2) ** (-alpha / 2), 0)


def _normals(
    rng: np.random.Generator, first: NDArray[np.integer], second: NDArray[np.integer]
) -> NDArray[np.float64]:
    """Two normal numbers for each pair of wave numbers, [2, len(first)].

    They are drawn from the lowest pair of wave numbers up, so that a finer grid only adds some.
    """
    order = np.lexsort((second, first, np.maximum(abs(first), abs(second))))
    drawn = np.empty((len(first), 2))
    drawn[order] = rng.standard_normal((len(first), 2))
    return drawn.T
