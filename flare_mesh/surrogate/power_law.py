"""Power law of a positive number of each case, fitted in closed form."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

_PENALTIES = 10.0 ** torch.arange(-8, 2.25, 0.25, dtype=torch.float64)  # times the cases
# A feature that varies less than this, relative to its largest value, does so by rounding alone.
_ROUNDING = 1e-6


@dataclass(frozen=True)
class PowerLaw:
    r"""Size of a case as a power law, :math:`\log s = a + b \cdot (z - z_0)`.

    Attributes:
        constant: a, the mean of the logarithms of the training cases.
        exponents: b [P].
        explained: Share of the variance of log s that the law predicts for a case that it was
            fitted without; 0 for a constant.
    """

    constant: float
    exponents: Tensor
    explained: float

    @classmethod
    def fit(cls, features: Tensor, log_size: Tensor, *, is_log: Tensor | None = None) -> "PowerLaw":
        """Ridge regression whose penalty has the smallest leave-one-out error.

        With H the matrix that maps the sizes to the predicted ones, the error of case i predicted
        by all others is its residual over :math:`1 - H_{ii}` (Golub, Heath and Wahba,
        Technometrics 21, 1979). A law that is not better than the mean size becomes the mean.

        Args:
            features: z [n, P] of n cases; z_0 is its mean.
            log_size: log s [n].
            is_log: Which features are logarithms [P], so that rounding of the numbers themselves
                changes them by up to 1e-6 however small they are; all by default.
        """
        features, log_size = features.double(), log_size.double()
        count, mean = len(log_size), float(log_size.mean())
        constant = cls(mean, features.new_zeros(features.shape[1]), 0.0)
        rest = log_size - mean
        centred = features - features.mean(0)
        scale = centred.square().mean(0).sqrt()
        is_log = torch.ones_like(features[0], dtype=torch.bool) if is_log is None else is_log
        largest = features.abs().amax(0).clamp_min(is_log.double())
        varies = scale > _ROUNDING * largest
        if count < 3 or not bool(varies.any()) or float(rest.abs().max()) <= _ROUNDING:
            return constant
        inverse = torch.where(varies, 1 / torch.where(varies, scale, 1.0), 0.0)
        basis, values, rotation = torch.linalg.svd(centred * inverse, full_matrices=False)
        parts, best = basis.T @ rest, (math.inf, torch.zeros_like(values))
        for penalty in _PENALTIES * count:
            kept = values**2 / (values**2 + penalty)
            free = 1 - 1 / count - basis.square() @ kept
            error = float(((rest - basis @ (kept * parts)) / free).square().sum())
            # Where a case has no freedom left, its error is rounding.
            if float(free.min()) > _ROUNDING and error < best[0]:
                best = (error, values / (values**2 + penalty))
        by_mean = float(rest.square().sum()) / (1 - 1 / count) ** 2
        if not best[0] < by_mean:
            return constant
        exponents = inverse * (rotation.T @ (best[1] * parts))
        # Without negative zeros.
        return cls(mean, exponents + 0.0, 1 - best[0] / by_mean)
