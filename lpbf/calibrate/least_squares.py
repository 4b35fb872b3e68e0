"""Weighted linear least squares with confidence intervals."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Singular values below this fraction of the largest are zero to the accuracy of the simulation.
_RANK = 1e-6


class Residuals:
    """Residuals in units of their uncertainty, without the motions that are fitted beside.

    Args:
        uncertainty: Standard deviation of each value, [n].
        motions: Values [n, k] of motions whose amplitudes are unknown, too; they may be linearly
            dependent.

    Attributes:
        rank: Number of independent motions.
    """

    def __init__(self, uncertainty: Array, motions: Array) -> None:
        self.uncertainty = uncertainty
        left, sizes, _ = np.linalg.svd(motions / uncertainty[:, None], full_matrices=False)
        self._basis = left[:, sizes > 1e-9 * sizes.max(initial=0.0)]
        self.rank = self._basis.shape[1]

    def scaled(self, values: Array) -> Array:
        """Values [n] or columns [n, p], divided by the uncertainty, the motions projected out."""
        divided = (values.T / self.uncertainty).T
        return divided - self._basis @ (self._basis.T @ divided)

    def chi_square(self, residual: Array) -> float:
        """Sum of the squared residuals over their variances."""
        return float((self.scaled(residual) ** 2).sum())


@dataclass(frozen=True, eq=False)
class Fit:
    """Solution of a weighted linear least-squares problem.

    Attributes:
        step: Change of the p numbers, [p].
        covariance: Of the numbers, for the given uncertainties, [p, p].
        condition: Largest over smallest singular value of the scaled columns.
        directions: Combinations of the numbers in rows, by falling accuracy, [p, p].
        errors: Standard error of each combination, [p]; infinite if the values do not depend on it.
    """

    step: Array
    covariance: Array
    condition: float
    directions: Array
    errors: Array


def solve_least_squares(columns: Array, residual: Array, residuals: Residuals) -> Fit:
    """Minimise ``|scaled(residual - columns @ step)|``.

    Args:
        columns: Derivatives of the computed values, [n, p].
        residual: Measured minus computed values, [n].
        residuals: Uncertainties and fitted motions.
    """
    left, sizes, directions = np.linalg.svd(residuals.scaled(columns), full_matrices=False)
    known = sizes > _RANK * sizes.max(initial=0.0)
    inverse = np.divide(1.0, sizes, out=np.zeros_like(sizes), where=known)
    step = directions.T @ (inverse * (left.T @ residuals.scaled(residual)))
    errors = np.where(known, inverse, np.inf)
    covariance = (directions.T * inverse**2) @ directions
    condition = float(sizes[0] / sizes[-1]) if known.all() else np.inf
    return Fit(step, covariance, condition, directions, errors)
