"""Baselines beside a model's test errors."""

import statistics
from collections.abc import Mapping
from typing import Any

from flare_mesh.baselines import BaselineErrors, compare_baselines


def baseline_errors(model: Any, data: Any) -> dict[str, BaselineErrors]:
    """Errors of the cheap baselines on the test cases of a run.

    Args:
        model: The :class:`~flare_mesh.training.FieldModule`.
        data: The :class:`~flare_mesh.training.FieldDataModule`.
    """
    return compare_baselines(data.cases("train"), data.cases("test"), model.surrogate.fields)


def baseline_table(found: Mapping[str, BaselineErrors]) -> dict[str, dict[str, float]]:
    """Errors of each suitable baseline by field, for ``summary.json``."""
    return {name: result.errors for name, result in found.items() if result.errors}


def print_baselines(found: Mapping[str, BaselineErrors], errors: Mapping[str, float]) -> None:
    """Print the mean errors of the baselines, and whether one is better than the model.

    Args:
        found: Errors of the baselines.
        errors: Errors of the model by field.
    """
    means = {name: _mean(result.errors) for name, result in found.items() if result.errors}
    if not means:
        return
    shown = ", ".join(f"{name} {mean:.4f}" for name, mean in means.items())
    some = min(result.test_cases for result in found.values())
    print(f"baselines, mean over the fields of {some} test cases: {shown}", flush=True)
    best, model = min(means, key=lambda name: means[name]), _mean(errors)
    if not means[best] >= model:
        print(
            f"the baseline {best} is better than the model ({means[best]:.4f} against "
            f"{model:.4f}): train longer, take a larger learning rate, or give more inputs",
            flush=True,
        )


def _mean(errors: Mapping[str, float]) -> float:
    return statistics.mean(errors.values())
