"""Bands from the errors of held-out cases."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flare_mesh.data.splits import spaced_indices
from flare_mesh.uncertainty.conformal_quantile import (
    case_spread,
    conformal_quantile,
    coverage_range,
    pooled_quantile,
)
from flare_mesh.uncertainty.field_band import FieldBand, local_scale, step_norms

_MAX_NODES, _MIN_NODES = 4_000, 50  # of a case, drawn if it has more
_TOTAL_NODES = 200_000  # of all cases
_SHARE_NODES, _SHARE_STEPS = 100_000, 8  # for the choice of the local scale
# Factor of the squared prediction against that of a magnitude, in the scale of the error.
_RATIOS = (0.0, 0.06, 0.25, 1.0, 4.0, 16.0)
_LEAST = 1e-6  # of the field's magnitude over the training cases, so that no scale is zero
_RELATIVE = [(ratio, 1.0, _LEAST**2) for ratio in _RATIOS]  # to the prediction's root mean square
_ABSOLUTE = [(ratio, 0.0, 1.0) for ratio in _RATIOS]  # the same magnitude in all cases

# Spread of the errors of held-out cases, over that of the training cases: measured on six sets, for
# nine fields it is between 0.9 and 1.6, in the median 1.2.
_SPREAD_RATIO = 1.2

_RIDGE = 0.5  # sum of squares of the logarithms of difficulties that counts towards 1

_Shares = tuple[float, float, float]


class CaseErrors(NamedTuple):
    """Errors of a field on a case.

    Attributes:
        errors: Norm of the error at drawn nodes, [n, steps].
        sizes: Norm of the prediction there, [n, steps].
        typical: Root mean square of the prediction over all nodes, [steps].
        difficulty: Factor of the case in the half-width of its band.
    """

    errors: Tensor
    sizes: Tensor
    typical: Tensor
    difficulty: float = 1.0

    def scale(self, shares: _Shares, magnitude: float) -> Tensor:
        """The local scale of :class:`FieldBand` times the difficulty, [n, steps]."""
        squares, mean_square = self.sizes.square(), self.typical.square()
        return self.difficulty * local_scale(shares, squares, mean_square, magnitude)

    def first(self, count: int) -> "CaseErrors":
        """The same with the first nodes only, which are drawn at random."""
        return self._replace(errors=self.errors[:count], sizes=self.sizes[:count])


def case_errors(
    predicted: Tensor, target: Tensor, channels: int, *, difficulty: float = 1.0, count: int = 1
) -> CaseErrors:
    """Errors of a predicted field [N, steps * channels].

    Args:
        predicted: The prediction.
        target: The truth.
        channels: Channels of the field in one time step.
        difficulty: Factor of the case in the half-width of its band.
        count: Number of cases; of many, fewer nodes of each are drawn.
    """
    errors, sizes = step_norms(predicted - target, channels), step_norms(predicted, channels)
    typical = sizes.square().mean(0).sqrt()
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randperm(len(errors), generator=generator)[: _nodes(_TOTAL_NODES, count)]
    return CaseErrors(errors[drawn], sizes[drawn], typical, difficulty)


def fit_band(
    cases: Sequence[CaseErrors],
    channels: int,
    magnitude: float,
    coverage: float,
    *,
    training: Sequence[CaseErrors] = (),
) -> FieldBand:
    """A band whose width fits the held-out cases.

    Its local scale is the one with the smallest geometric mean, over the cases, of the mean
    half-width. Whether errors are relative to each case's magnitude or absolute is decided on the
    training cases: of few held-out cases, one or the other has errors of equal size by chance,
    which makes the band too narrow. How they depend on the prediction at a node is decided on the
    held-out cases, whose many nodes show it; errors of a training case depend on it less.

    The training cases also tell how much the errors of cases differ, which few held-out cases
    hardly show: 1.2 times the spread of their errors, without difficulties, is expected of the
    held-out cases with difficulties, see
    :func:`~flare_mesh.uncertainty.conformal_quantile.conformal_quantile`. How large the errors are,
    only held-out cases tell: those of training cases are smaller, on six sets by factors of 1.2
    to 3.3, and leaving each case out of the fit of the last layer (in closed form, as a ridge
    regression) recovers less than a tenth of that, in logarithms.

    Args:
        cases: Errors of the held-out cases.
        channels: Channels of the field in one time step.
        magnitude: Root mean square of the field's norm over the training cases.
        coverage: Share of the nodes that the band is to cover.
        training: Errors of the training cases; the held-out cases if there are none.

    Raises:
        ValueError: If there are too few cases.
    """
    every = _narrowest(_RELATIVE + _ABSOLUTE, training or cases, magnitude, coverage)
    choices = _RELATIVE if every in _RELATIVE else _ABSOLUTE
    shares = _narrowest(choices, cases, magnitude, coverage)
    exponent = _difficulty_exponent(cases, shares, magnitude, coverage)
    cases = [case._replace(difficulty=case.difficulty**exponent) for case in cases]
    scales = [case.scale(shares, magnitude) for case in cases]
    known_scales = [case.scale(shares, magnitude) for case in training]
    known_steps = min((len(case.typical) for case in training), default=0)
    quantiles, ranges = [], []
    for step in range(min(len(case.typical) for case in cases)):
        scores = _scores(cases, scales, step)
        expected = None
        if known_steps:
            known = _scores(training, known_scales, min(step, known_steps - 1))
            spread = case_spread(known, coverage)
            expected = None if spread is None else _SPREAD_RATIO * spread
        quantiles.append(conformal_quantile(scores, coverage, expected))
        ranges.append(coverage_range(scores, quantiles[-1], coverage, expected))
    low, high = np.mean(ranges, axis=0).tolist()
    return FieldBand(channels, shares, magnitude, tuple(quantiles), (low, high), exponent)


def _difficulty_exponent(
    cases: Sequence[CaseErrors], shares: _Shares, magnitude: float, coverage: float
) -> float:
    """Slope of the logarithm of the cases' own quantiles by that of their difficulty.

    Ridge regression towards 1, with which errors of most fields grow: few cases say little.
    """
    x = np.log([case.difficulty for case in cases])
    own = [
        float(
            np.quantile(
                case.errors / case._replace(difficulty=1.0).scale(shares, magnitude), coverage
            )
        )
        for case in cases
    ]
    if min(own) <= 0:
        return 1.0
    x, y = x - x.mean(), np.log(own) - np.log(own).mean()
    return float(np.clip((x @ y + _RIDGE) / (x @ x + _RIDGE), 0, 2))


def _narrowest(
    choices: Sequence[_Shares], cases: Sequence[CaseErrors], magnitude: float, coverage: float
) -> _Shares:
    cases = [case.first(_nodes(_SHARE_NODES, len(cases))) for case in cases]
    count = min(len(case.typical) for case in cases)
    steps = spaced_indices(count, _SHARE_STEPS)
    widths = []
    for shares in choices:
        scales = [case.scale(shares, magnitude) for case in cases]
        quantiles = [pooled_quantile(_scores(cases, scales, step), coverage) for step in steps]
        means = torch.stack([scale[:, steps].mean(0) for scale in scales])
        widths.append(
            float((means * torch.tensor(quantiles)).mean(1).clamp_min(1e-300).log().mean())
        )
    return choices[int(np.argmin(widths))]


def _scores(
    cases: Sequence[CaseErrors], scales: Sequence[Tensor], step: int
) -> list[NDArray[np.float64]]:
    return [
        (case.errors[:, step] / scale[:, step]).numpy()
        for case, scale in zip(cases, scales, strict=True)
    ]


def _nodes(total: int, count: int) -> int:
    """Largest number of nodes to draw from each of ``count`` cases."""
    return max(_MIN_NODES, min(_MAX_NODES, total // count))
