"""Least squares for models that are linear, or nearly so, in their numbers."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lpbf.calibrate.least_squares import Fit, Residuals, solve_least_squares
from lpbf.core.errors import SolverError

Array = NDArray[np.float64]
Model = Callable[[Array], Array]
"""Function from the numbers [p] to the computed values [n]."""

_DIFFERENCE = 0.01  # step of the finite differences over the size of the numbers
_CONVERGED = 1e-4  # largest change of the numbers over their size in the last iteration
_SMALLEST = 1 / 64  # shortest fraction of a step that is tried
_MAX_ITERATIONS = 20


@dataclass(frozen=True, eq=False)
class Optimum:
    """Numbers with the least chi-square.

    Attributes:
        numbers: [p].
        computed: Values of the model, [n].
        fit: Linear fit about the numbers.
    """

    numbers: Array
    computed: Array
    fit: Fit


def fit_linear(
    model: Model, count: int, typical: float, measured: Array, residuals: Residuals, *, offset: bool
) -> Optimum:
    """Fit a model that is linear in its numbers: one evaluation for each gives exact columns.

    Args:
        model: The model.
        count: Number p of numbers.
        typical: A typical number, for the evaluations.
        measured: Measured values, [n].
        residuals: Uncertainties and fitted motions.
        offset: Whether the model has values other than zero if all numbers are zero.
    """
    zero = np.zeros(count)
    base = model(zero) if offset else np.zeros(len(measured))
    columns = np.stack([(model(typical * one) - base) / typical for one in np.eye(count)], axis=1)
    fit = solve_least_squares(columns, measured - base, residuals)
    return Optimum(fit.step, base + columns @ fit.step, fit)


def fit_nonlinear(
    model: Model,
    start: Array,
    size: float,
    measured: Array,
    residuals: Residuals,
    *,
    is_allowed: Callable[[Array], bool],
    check: Callable[[Fit], None],
) -> Optimum:
    """Fit a model by Gauss and Newton's method with finite differences.

    A step is halved until chi-square decreases.

    Args:
        model: The model.
        start: Numbers to start from, [p].
        size: Magnitude of the numbers, for the differences and the convergence.
        measured: Measured values, [n].
        residuals: Uncertainties and fitted motions.
        is_allowed: Whether the model can be evaluated at numbers.
        check: Called with the linear fit at the start, raises an error if it is unusable.

    Raises:
        SolverError: If the method does not converge.
    """
    numbers, computed = start, model(start)
    for iteration in range(_MAX_ITERATIONS):
        before = residuals.chi_square(measured - computed)
        # Towards larger strains, where the material yields as in the solution.
        steps = _DIFFERENCE * size * np.where(numbers < 0, -1.0, 1.0)
        columns = [
            (model(numbers + step * one) - computed) / step
            for step, one in zip(steps, np.eye(len(start)), strict=True)
        ]
        fit = solve_least_squares(np.stack(columns, axis=1), measured - computed, residuals)
        if iteration == 0:
            check(fit)
        fraction = 1.0
        while True:
            new = numbers + fraction * fit.step
            if is_allowed(new):
                found = model(new)
                if residuals.chi_square(measured - found) < before:
                    break
            fraction /= 2
            if fraction < _SMALLEST:
                if np.abs(fit.step).max() <= 100 * _CONVERGED * size:
                    # The differences are not exact enough for a smaller chi-square.
                    return Optimum(numbers, computed, fit)
                raise SolverError(
                    f"the identification does not reduce chi-square below {before:.4g} at "
                    f"{', '.join(f'{value:.4g}' for value in numbers)}; start from another "
                    f"inherent_strain of the process, or identify fewer strains"
                )
        change = np.abs(new - numbers).max()
        numbers, computed = new, found
        if fraction == 1 and change <= _CONVERGED * size:
            return Optimum(numbers, computed, fit)
    raise SolverError(
        f"the identification did not converge in {_MAX_ITERATIONS} iterations; start from another "
        f"inherent_strain of the process, or identify fewer strains"
    )
