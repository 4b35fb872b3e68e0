import numpy as np
import pytest

from lpbf.calibrate.confidence import make_confidence
from lpbf.calibrate.gauss_newton import fit_linear, fit_nonlinear
from lpbf.calibrate.least_squares import Residuals, solve_least_squares
from lpbf.core.errors import SolverError

TRUE = np.array([-0.004, -0.001, -0.003])
NUM_VALUES = 11


@pytest.fixture
def rng():
    return np.random.default_rng(3)


@pytest.fixture
def columns(rng):
    return rng.normal(size=(NUM_VALUES, 3)) * (20, 5, 1)


@pytest.fixture
def uncertainty(rng):
    return rng.uniform(0.001, 0.01, NUM_VALUES)


def test_motions_are_eliminated_as_if_they_were_unknowns(rng, columns, uncertainty):
    motions = rng.normal(size=(NUM_VALUES, 2))
    values = rng.normal(size=NUM_VALUES)
    dependent = np.column_stack([motions, motions @ (1.0, 2.0)])
    residuals = Residuals(uncertainty, dependent)
    assert residuals.rank == 2
    fit = solve_least_squares(columns, values, residuals)
    both = np.column_stack([columns, motions])
    weight = np.diag(1 / uncertainty**2)
    normal = both.T @ weight @ both
    expected = np.linalg.solve(normal, both.T @ weight @ values)
    np.testing.assert_allclose(fit.step, expected[:3], rtol=1e-9)
    np.testing.assert_allclose(fit.covariance, np.linalg.inv(normal)[:3, :3], rtol=1e-9)
    left = values - both @ expected
    assert residuals.chi_square(values - columns @ fit.step) == pytest.approx(left @ weight @ left)


def covered(columns, uncertainty, kind, factor):
    """In how many of 100 draws the interval of each number has the true one, [3]."""
    rng = np.random.default_rng(8)
    residuals = Residuals(uncertainty, np.zeros((NUM_VALUES, 0)))
    freedom = NUM_VALUES - 3
    count = np.zeros(3)
    for _ in range(100):
        values = columns @ TRUE + factor * uncertainty * rng.normal(size=NUM_VALUES)
        optimum = fit_linear(lambda x: columns @ x, 3, -0.004, values, residuals, offset=False)
        chi_square = residuals.chi_square(values - optimum.computed)
        confidence = make_confidence(kind, chi_square, freedom)
        low, high = confidence.interval(optimum.numbers, optimum.fit.covariance).T
        count += (low <= TRUE) & (high >= TRUE)
    return count


# 95 of 100 on average; 88 to 99 with a probability of 99.3 % (binomial).
def test_intervals_have_the_true_strain_in_95_of_100_draws(columns, uncertainty):
    count = covered(columns, uncertainty, "uncertainty", 1.0)
    assert ((count >= 88) & (count <= 99)).all()


def test_intervals_from_residuals_need_only_relative_uncertainties(columns, uncertainty):
    count = covered(columns, uncertainty, "residuals", 7.0)
    assert ((count >= 88) & (count <= 99)).all()
    # The given uncertainties are a seventh of the true ones.
    assert (covered(columns, uncertainty, "uncertainty", 7.0) < 50).all()


def test_quantiles():
    assert make_confidence("uncertainty", 5.0, 0).quantile == pytest.approx(1.95996, rel=1e-5)
    student = make_confidence("residuals", 12.0, 3)  # table of Student's t
    assert (student.quantile, student.scale) == (pytest.approx(3.18245, rel=1e-5), 2.0)


def test_offset_of_a_linear_model(columns, uncertainty):
    offset = np.linspace(0.1, 0.2, NUM_VALUES)
    residuals = Residuals(uncertainty, np.zeros((NUM_VALUES, 0)))
    optimum = fit_linear(
        lambda x: offset + columns @ x, 3, 1.0, offset + columns @ TRUE, residuals, offset=True
    )
    np.testing.assert_allclose(optimum.numbers, TRUE, rtol=1e-9)
    np.testing.assert_allclose(optimum.computed, offset + columns @ TRUE, rtol=1e-9)


def nonlinear(model, start, values, **options):
    residuals = Residuals(np.full(len(values), 0.01), np.zeros((len(values), 0)))
    options = {"is_allowed": lambda x: True, "check": lambda fit: None, **options}
    return fit_nonlinear(model, np.array(start), 0.004, np.array(values), residuals, **options)


def test_gauss_newton(columns):
    def model(x):  # saturates as the displacement does if the material yields
        return np.tanh(40 * (columns @ x))

    optimum = nonlinear(model, [-0.002, -0.002, -0.002], model(TRUE))
    np.testing.assert_allclose(optimum.numbers, TRUE, rtol=1e-4)
    np.testing.assert_allclose(optimum.computed, model(optimum.numbers), rtol=1e-9)


def test_steps_are_shortened():
    evaluated = []

    def model(x):  # the full step from the start overshoots to x = -29
        evaluated.append(float(x[0]))
        return np.arctan(1000 * x)

    optimum = nonlinear(model, [-0.005], model(np.array([-0.0005])), is_allowed=lambda x: x > -0.1)
    assert optimum.numbers[0] == pytest.approx(-0.0005, rel=1e-4)
    assert min(evaluated) > -0.1


def test_no_convergence_is_an_error():
    with pytest.raises(SolverError, match="does not reduce chi-square below"):
        nonlinear(lambda x: np.abs(x - 0.003) ** 0.2, [0.003], [-1.0])
