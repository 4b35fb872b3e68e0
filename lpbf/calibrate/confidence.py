"""Confidence intervals of identified numbers."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

INTERVALS = ("uncertainty", "residuals")
"""Sources of the intervals' size: the given uncertainties, or the residuals."""

_LEVEL = 0.975  # quantile of a two-sided interval of 95 %


@dataclass(frozen=True)
class Confidence:
    """Confidence intervals of 95 %.

    Attributes:
        scale: Factor on the given uncertainties.
        quantile: Half-width of an interval over the standard error.
        distribution: In words.
    """

    scale: float
    quantile: float
    distribution: str

    def standard_error(self, covariance: Array) -> Array:
        """Standard errors [p] from the covariance for the given uncertainties, [p, p]."""
        return self.scale * np.sqrt(np.diag(covariance))

    def interval(self, numbers: Array, covariance: Array) -> Array:
        """Lower and upper end for each number, [p, 2]."""
        half = self.quantile * self.standard_error(covariance)
        return np.stack([numbers - half, numbers + half], axis=1)


def make_confidence(kind: str, chi_square: float, freedom: int) -> Confidence:
    """Confidence of a kind of :data:`INTERVALS`.

    ``"uncertainty"``: the errors are normal with the given standard deviations. ``"residuals"``:
    the given ones are right but for a common factor, which the residuals determine; the intervals
    have Student's t distribution.

    Args:
        kind: The kind.
        chi_square: Sum of the squared residuals over their variances.
        freedom: Degrees of freedom of the residuals; with ``"residuals"`` at least one.
    """
    from scipy.special import ndtri, stdtrit

    if kind == "uncertainty":
        return Confidence(1.0, float(ndtri(_LEVEL)), "normal, from the uncertainties")
    text = f"Student's t with {freedom} degrees of freedom, from the residuals"
    return Confidence((chi_square / freedom) ** 0.5, float(stdtrit(freedom, _LEVEL)), text)
