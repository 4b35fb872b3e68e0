"""Bands from the errors of held-out cases."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from flare_mesh.uncertainty.conformal_quantile import conformal_quantile
from flare_mesh.uncertainty.field_band import FieldBand, step_norms

_MAX_NODES = 4_000  # of a case, drawn if it has more
# Factor of the squared prediction against that of a magnitude, in the scale of the error.
_RATIOS = (0.0, 0.06, 0.25, 1.0, 4.0, 16.0)
_LEAST = 1e-6  # of the field's magnitude over the training cases, so that no scale is zero


class CaseErrors(NamedTuple):
    """Errors of a field on a held-out case.

    Attributes:
        errors: Norm of the error at drawn nodes, [n, steps].
        sizes: Norm of the prediction there, [n, steps].
        typical: Root mean square of the prediction over all nodes, [steps].
    """

    errors: Tensor
    sizes: Tensor
    typical: Tensor


def case_errors(predicted: Tensor, target: Tensor, channels: int) -> CaseErrors:
    """Errors of a predicted field [N, steps * channels].

    Args:
        predicted: The prediction.
        target: The truth.
        channels: Channels of the field in one time step.
    """
    errors, sizes = step_norms(predicted - target, channels), step_norms(predicted, channels)
    typical = sizes.square().mean(0).sqrt()
    if len(errors) > _MAX_NODES:
        generator = torch.Generator().manual_seed(0)
        drawn = torch.randperm(len(errors), generator=generator)[:_MAX_NODES]
        errors, sizes = errors[drawn], sizes[drawn]
    return CaseErrors(errors, sizes, typical)


def fit_band(
    cases: Sequence[CaseErrors], channels: int, magnitude: float, coverage: float
) -> FieldBand:
    """The band with the smallest geometric mean, over the cases, of the mean half-width.

    Args:
        cases: Errors of the held-out cases.
        channels: Channels of the field in one time step.
        magnitude: Root mean square of the field's norm over the training cases.
        coverage: Share of the nodes that the band is to cover.

    Raises:
        ValueError: If there are too few cases.
    """
    steps = min(len(case.typical) for case in cases)
    least = _LEAST**2
    choices = [(ratio, 1.0, least) for ratio in _RATIOS] + [(ratio, 0.0, 1.0) for ratio in _RATIOS]
    best: tuple[float, FieldBand] | None = None
    for a, b, c in choices:
        scales = [
            (a * case.sizes.square() + b * case.typical.square() + c * magnitude**2).sqrt()
            for case in cases
        ]
        quantiles = tuple(
            conformal_quantile(
                [
                    (case.errors[:, step] / scale[:, step]).numpy()
                    for case, scale in zip(cases, scales, strict=True)
                ],
                coverage,
            )
            for step in range(steps)
        )
        means = torch.stack([scale[:, :steps].mean(0) for scale in scales])
        width = float((means * torch.tensor(quantiles)).mean(1).clamp_min(1e-300).log().mean())
        if best is None or width < best[0]:
            best = width, FieldBand(channels, (a, b, c), magnitude, quantiles)
    assert best is not None
    return best[1]
