"""Errors of a run during its training."""

import math
from pathlib import Path
from typing import TYPE_CHECKING

from flare_mesh.training.run_results import RunResults
from flare_mesh.visualize.charts.axes import (
    COLOURS,
    STYLES,
    chart_axes,
    legend_label,
    set_labels,
    use_log_axis,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_VALIDATION = "val_relative_l2"
_MAX_FIELDS = 6


def plot_learning_curves(
    run: str | Path | RunResults, *, title: str = "", ax: "Axes | None" = None
) -> "Axes":
    """Plot the training loss and the validation errors of a run against the training steps.

    Each epoch is a point. With several fields, their validation errors are thin lines.

    Args:
        run: Folder of a run, or its results.
        title: Title of the chart.
        ax: Axes to draw on; those of a new figure by default.

    Returns:
        The axes.

    Raises:
        FileNotFoundError: If the folder has no run that has ended.
        ValueError: If the run has no epochs, or a file is damaged.
        ImportError: If matplotlib is not installed.
    """
    results = run if isinstance(run, RunResults) else RunResults.read(run)
    curves = {"training loss": _curve(results, "train_loss")}
    curves["validation error"] = _curve(results, _VALIDATION)
    fields = [name for name in results.errors if _curve(results, f"{_VALIDATION}_{name}")]
    if not any(curves.values()):
        raise ValueError(
            f"{results.folder / 'metrics.csv'}: expected a row for each epoch (got no losses); "
            f"train for at least one epoch"
        )
    ax = chart_axes(ax, size=(6.0, 4.0))
    handles, labels = [], []
    for number, (name, points) in enumerate(curves.items()):
        if points:
            handles += ax.plot(*zip(*points, strict=True), color=COLOURS[number], marker=".")
            labels.append(name)
    for number, name in enumerate(fields[:_MAX_FIELDS] if len(fields) > 1 else []):
        points = _curve(results, f"{_VALIDATION}_{name}")
        look = COLOURS[2 + number % 5], STYLES[1 + number % 3]
        handles += ax.plot(
            *zip(*points, strict=True), linewidth=1, color=look[0], linestyle=look[1]
        )
        labels.append(legend_label(f"validation error of {name}"))
    if all(value > 0 for points in curves.values() for _, value in points):
        use_log_axis(ax)
    ax.legend(handles, labels, fontsize=8, frameon=False)
    loss = results.config.get("model", {})
    name = loss.get("loss", {}).get("name") if isinstance(loss, dict) else None
    same = name == "relative_l2"
    set_labels(ax, "training step", "relative L2 error" if same else "loss, relative error", title)
    return ax


def _curve(results: RunResults, name: str) -> list[tuple[float, float]]:
    """Step and value of each epoch that has a finite value."""
    found = []
    for number, epoch in enumerate(results.epochs, 1):
        value = epoch.get(name, math.nan)
        if math.isfinite(value):
            found.append((epoch.get("step", float(number)), value))
    return found
