"""Whether the bands of a surrogate hold on test cases."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor
from torch_geometric.data import Data

from flare_mesh.surrogate.calibrate import (
    MAX_NODES,
    DescribedPrediction,
    describe_predictions,
    spaced,
)
from flare_mesh.surrogate.surrogate import Surrogate
from flare_mesh.uncertainty.calibration import THRESHOLD
from flare_mesh.uncertainty.field_band import step_norms


def coverage_report(
    surrogate: Surrogate, cases: Sequence[Data], known: Sequence[DescribedPrediction] = ()
) -> dict[str, Any]:
    """Share of the nodes of cases that the bands cover, and the widths of the bands.

    Args:
        surrogate: A calibrated surrogate.
        cases: Cases with ``y``, after :meth:`Surrogate.prepare`; evenly spaced ones are used if
            they have very many nodes.
        known: Predictions of all cases by this surrogate, if there are some; they are made here
            otherwise.

    Returns:
        In types of JSON: ``coverage`` and ``calibration_cases`` of the calibration; ``covered``,
        the share of the covered nodes of each field in the mean over the cases;
        ``covered_error``, its standard error, None for one case; ``likely``, the range of that
        share over very many cases that is likely for so few calibration cases, None if unknown;
        ``width``, the mean half-width over the root mean square of the field; ``unlike``, the
        share of the cases that are unlike the training cases; ``cases``, their number.
    """
    calibration = surrogate.calibration
    assert calibration is not None
    rows: dict[str, list[tuple[float, float, float]]] = {name: [] for name in calibration.bands}
    scores = []
    if len(known) != len(cases):
        known = ()
    found = known or describe_predictions(surrogate, spaced(cases, MAX_NODES))
    for case, predicted, descriptors in found:
        assert isinstance(case.y, Tensor)
        targets = surrogate.split_fields(case.y)
        score = calibration.scores(descriptors)
        widths = calibration.half_widths(predicted, score)
        for name, band in calibration.bands.items():
            width = widths[name][:, : len(band.quantiles)]
            target = targets[name].cpu()
            error = step_norms(predicted[name] - target, band.channels)[:, : width.shape[1]]
            covered = (error <= width).double().mean()
            square = step_norms(target, band.channels).square().mean()
            rows[name].append((float(covered), float(width.double().mean()), float(square)))
        scores.append(max(score.values()))
    means = {name: np.mean(found, axis=0).tolist() for name, found in rows.items()}
    return {
        "coverage": calibration.coverage,
        "calibration_cases": calibration.num_cases,
        "covered": {name: covered for name, (covered, _, _) in means.items()},
        "covered_error": {name: _standard_error(found) for name, found in rows.items()},
        "likely": {
            name: None if band.likely is None else [*band.likely]
            for name, band in calibration.bands.items()
        },
        "width": {
            name: width / square**0.5 if square > 0 else None
            for name, (_, width, square) in means.items()
        },
        "unlike": float(np.mean([score > THRESHOLD for score in scores])),
        "cases": len(scores),
    }


def _standard_error(rows: Sequence[tuple[float, float, float]]) -> float | None:
    """Standard error of the mean of the first numbers."""
    if len(rows) < 2:
        return None
    return float(np.std([row[0] for row in rows], ddof=1)) / len(rows) ** 0.5
