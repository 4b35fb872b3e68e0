"""Errors of the baselines."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch_geometric.data import Data

from flare_mesh.baselines.baseline import UnsuitableError
from flare_mesh.baselines.registry import BASELINES, CHEAP
from flare_mesh.choices import check_choice
from flare_mesh.data.splits import spaced_indices
from flare_mesh.training.metrics import relative_l2

_MAX_VALUES = 100_000_000  # numbers of all training cases together, 0.8 GB in float64
_MAX_TEST_NODES = 100_000


@dataclass
class BaselineErrors:
    """Errors of a baseline on test cases.

    Attributes:
        errors: Mean relative L2 error over the cases, by field; empty if ``unsuitable``.
        seconds: Time of the training and of the predictions.
        train_cases: Number of training cases that were used.
        test_cases: Number of test cases that were predicted.
        unsuitable: Why the baseline does not fit the data; empty if it does.
    """

    errors: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    train_cases: int = 0
    test_cases: int = 0
    unsuitable: str = ""


def compare_baselines(
    train: Sequence[Data],
    test: Sequence[Data],
    fields: Mapping[str, int],
    names: Sequence[str] = CHEAP,
    *,
    seed: int = 0,
) -> dict[str, BaselineErrors]:
    """Mean relative L2 error of baselines on test cases, as of a surrogate.

    Args:
        train: Training cases with ``pos``, ``y`` and possibly ``x``. If they have too many values
            for the memory, evenly spaced ones are used.
        test: Test cases; evenly spaced ones are used if they have very many nodes. A field that is
            zero at every node of a case is left out there.
        fields: Channels of each field in ``y``.
        names: Names from ``BASELINES``.
        seed: Seed of ``node_mlp``.

    Raises:
        ValueError: If a name is unknown, or there are no cases.
    """
    for name in names:
        check_choice("baselines: unknown baseline", name, BASELINES)
    if not len(train) or not len(test):
        raise ValueError(f"expected training and test cases (got {len(train)} and {len(test)})")
    cases = _fitting(train)
    goals = _spaced(test, _MAX_TEST_NODES // max(1, len(test[0]["pos"])))
    found = {}
    for name in names:
        start = time.perf_counter()
        result = BaselineErrors(train_cases=len(cases), test_cases=len(goals))
        baseline = BASELINES[name](**({"seed": seed} if name == "node_mlp" else {}))
        try:
            baseline.fit(cases)
            rows = []
            for case in goals:
                y, size = case["y"].double(), cases[0]["y"].shape[1]
                if y.shape[1] != size:
                    raise UnsuitableError(f"the test cases have {y.shape[1]} channels, not {size}")
                predicted = baseline.predict(case)
                error = relative_l2(predicted, y, [*fields.values()])[0]
                parts = y.split([*fields.values()], dim=1)
                known = torch.tensor([bool(part.any()) for part in parts])
                rows.append(torch.where(known, error, math.nan).numpy())
            with np.errstate(all="ignore"):
                table = np.stack(rows)
                counts = np.isfinite(table).sum(0)
                means = np.where(counts > 0, np.nansum(table, axis=0) / counts.clip(1), math.nan)
            result.errors = dict(zip(fields, means.tolist(), strict=True))
        except UnsuitableError as error:
            result.unsuitable = str(error)
        result.seconds = time.perf_counter() - start
        found[name] = result
    return found


def _fitting(cases: Sequence[Data]) -> list[Data]:
    """All cases, or evenly spaced ones with at most ``_MAX_VALUES`` numbers."""
    first = cases[0]
    each = sum(first[key].numel() for key in ("pos", "x", "y") if first.get(key) is not None)
    return _spaced(cases, _MAX_VALUES // max(1, each))


def _spaced(cases: Sequence[Data], limit: int) -> list[Data]:
    return [cases[i] for i in spaced_indices(len(cases), limit)]
