import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import CubicSpline

from flare_mesh.datasets.generators.darcy import (
    darcy_coefficient,
    solve_darcy,
    solve_on_nodes,
)


def solve_by_loops(a, f):
    """The five-point scheme written out node by node, solved densely."""
    size = len(a)
    inner = size - 2
    matrix, right = np.zeros((inner**2, inner**2)), np.zeros(inner**2)
    for i in range(1, size - 1):
        for j in range(1, size - 1):
            row = (i - 1) * inner + j - 1
            right[row] = f[i, j] / (size - 1) ** 2
            for ni, nj in ((i - 1, j), (i + 1, j), (i, j - 1), (i, j + 1)):
                between = (a[i, j] + a[ni, nj]) / 2
                matrix[row, row] += between
                if 0 < ni < size - 1 and 0 < nj < size - 1:
                    matrix[row, (ni - 1) * inner + nj - 1] -= between
    u = np.zeros((size, size))
    u[1:-1, 1:-1] = np.linalg.solve(matrix, right).reshape(inner, inner)
    return u


def resample(values, at, to):
    along_rows = CubicSpline(at, values, bc_type="not-a-knot")(to)
    return CubicSpline(at, along_rows.T, bc_type="not-a-knot")(to).T


@given(st.integers(0, 2**32 - 1), st.integers(3, 12))
@settings(max_examples=20, deadline=None)
def test_against_a_dense_solution(seed, size):
    rng = np.random.default_rng(seed)
    a, f = rng.uniform(1, 12, (size, size)), rng.standard_normal((size, size))
    expected = solve_by_loops(a, f)
    np.testing.assert_allclose(solve_on_nodes(a, f), expected, atol=1e-8 * np.abs(expected).max())


def test_second_order_with_a_manufactured_solution():
    errors = []
    for size in (17, 33, 65):
        x = np.linspace(0, 1, size)[:, None]
        y = x.T
        sin, cos = np.sin(np.pi * x), np.cos(np.pi * x)
        a = 2 + x * y**2
        u = sin * sin.T
        f = -np.pi * (y**2 * cos * sin.T + 2 * x * y * sin * cos.T) + 2 * np.pi**2 * a * u
        errors.append(np.abs(solve_on_nodes(a, f) - u).max())
    order = np.log2(np.array(errors[:-1]) / errors[1:])
    assert ((order > 1.95) & (order < 2.05)).all()


def poisson(x, y):
    """-Laplace u = 1 on the unit square, u = 0 on its border."""
    total = 0.0
    for i in range(1, 200, 2):
        for j in range(1, 200, 2):
            wave = np.sin(i * np.pi * x) * np.sin(j * np.pi * y)
            total += 16 * wave / (np.pi**4 * i * j * (i**2 + j**2))
    return total


@pytest.mark.parametrize("permeability", [1.0, 3.0])
def test_a_uniform_medium_against_its_series(permeability):
    u = solve_darcy(np.full((61, 61), permeability))
    for i, j in ((30, 30), (0, 30), (7, 52)):
        exact = poisson((i + 0.5) / 61, (j + 0.5) / 61) / permeability
        assert u[i, j] == pytest.approx(exact, rel=2e-3)


@pytest.mark.parametrize("seed", range(5))
def test_as_the_original_program_does_it(seed):
    """Splines to the nodes, the five-point scheme, splines back; some of these are indefinite."""
    size = 14
    a = darcy_coefficient(np.random.default_rng(seed), size)
    assert set(np.unique(a)) <= {3.0, 12.0}
    centers, nodes = (np.arange(size) + 0.5) / size, np.linspace(0, 1, size)
    u = solve_by_loops(resample(a, centers, nodes), np.ones((size, size)))
    expected = resample(u, nodes, centers)
    np.testing.assert_allclose(solve_darcy(a), expected, atol=1e-8 * np.abs(expected).max())


def test_reflected_media():
    a = darcy_coefficient(np.random.default_rng(7), 33)
    u = solve_darcy(a)
    np.testing.assert_allclose(solve_darcy(a.T), u.T, atol=1e-11)
    np.testing.assert_allclose(solve_darcy(a[::-1]), u[::-1], atol=1e-11)


def test_it_says_if_it_does_not_converge():
    with pytest.raises(RuntimeError, match="11 x 11 nodes did not converge in 1 iterations"):
        solve_on_nodes(np.random.default_rng(0).uniform(1, 9, (11, 11)), max_iterations=1)
