"""Errors of a run's test, for files and for the terminal."""

from collections.abc import Iterable, Mapping
from typing import Any

# Names in summary.json, and the prefix of Lightning's metrics.
_GROUPS = {
    "test_relative_l2": "test",
    "test_ema_relative_l2": "test_ema",
    "mean_relative_l2": "test_mean",
}


def collect_errors(metrics: Mapping[str, Any], fields: Iterable[str]) -> dict[str, Any]:
    """Relative L2 errors by field, as in ``summary.json``, from the metrics of a test."""
    fields = list(fields)
    return {
        title: {field: float(metrics[f"{prefix}_relative_l2_{field}"]) for field in fields}
        for title, prefix in _GROUPS.items()
        if f"{prefix}_relative_l2" in metrics
    }


def print_errors(errors: Mapping[str, Any]) -> None:
    """Print what :func:`collect_errors` returns, a line for each field."""
    print("relative L2 error on the test cases (of the training mean as prediction):")
    for field, error in errors["test_relative_l2"].items():
        mean = errors["mean_relative_l2"][field]
        averaged = errors.get("test_ema_relative_l2", {}).get(field)
        more = "" if averaged is None else f", averaged weights {averaged:.4f}"
        print(f"  {field:<16} {error:.4f} ({mean:.4f}{more})", flush=True)
