import numpy as np
import pytest
from scipy import fft

from flare_mesh.datasets.generators.random_field import neumann_field, periodic_field

DRAWS = 6000


def assert_covariance(fields, expected):
    """Within five standard deviations of the estimate."""
    samples = fields.reshape(len(fields), -1)
    estimate = samples.T @ samples / len(samples)
    spread = np.sqrt((np.outer(np.diag(expected), np.diag(expected)) + expected**2) / len(samples))
    assert (np.abs(estimate - expected) < 5 * spread).all()
    assert (np.diag(expected) > 5 * np.diag(spread)).all()


def test_neumann_covariance_against_its_eigenfunctions():
    size, alpha, tau = 4, 2.0, 3.0
    x = (np.arange(size) + 0.5) / size
    expected = 0
    for i in range(size):
        for j in range(size):
            if i or j:
                norm = (np.sqrt(2) if i else 1) * (np.sqrt(2) if j else 1)
                wave = norm * np.outer(np.cos(i * np.pi * x), np.cos(j * np.pi * x)).ravel()
                variance = tau**2 * (np.pi**2 * (i**2 + j**2) + tau**2) ** -alpha
                expected = expected + variance * np.outer(wave, wave)
    rng = np.random.default_rng(0)
    assert_covariance(np.stack([neumann_field(rng, size) for _ in range(DRAWS)]), expected)


def test_periodic_covariance_against_its_eigenfunctions():
    size, alpha, tau = 5, 2.5, 7.0
    x = np.arange(size) / size
    expected = 0
    for i in range(-2, 3):
        for j in range(-2, 3):
            if i or j:
                phase = 2 * np.pi * (i * x[:, None] + j * x).ravel()
                variance = tau**3 * (4 * np.pi**2 * (i**2 + j**2) + tau**2) ** -alpha
                expected = expected + variance * np.cos(phase[:, None] - phase)
    rng = np.random.default_rng(1)
    assert_covariance(np.stack([periodic_field(rng, size) for _ in range(DRAWS)]), expected)


@pytest.mark.parametrize("field", [neumann_field, periodic_field])
def test_mean_and_seeds(field):
    one, same, other = (field(np.random.default_rng(seed), 16) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).max() > 0.1 * np.abs(one).max()
    assert abs(one.mean()) < 1e-14


def test_finer_grids_show_the_same_neumann_sample():
    coarse, fine = (
        fft.dctn(neumann_field(np.random.default_rng(5), size), type=2, norm="ortho") / size
        for size in (9, 20)
    )
    np.testing.assert_allclose(fine[:9, :9], coarse, atol=1e-14)


@pytest.mark.parametrize("size", [8, 9])
def test_finer_grids_show_the_same_periodic_sample(size):
    coarse, fine = (
        fft.fft2(periodic_field(np.random.default_rng(5), n)) / n**2 for n in (size, 2 * size)
    )
    limit = (size - 1) // 2
    modes = np.arange(-limit, limit + 1)
    rows, columns = np.meshgrid(modes, modes)
    np.testing.assert_allclose(fine[rows, columns], coarse[rows, columns], atol=1e-14)
