"""Errors of the test cases of a run beside those of the baselines."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from flare_mesh.training.run_results import RunResults
from flare_mesh.visualize.charts.axes import (
    COLOURS,
    chart_axes,
    legend_label,
    set_labels,
    use_log_axis,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MAX_FIELDS = len(COLOURS)


def plot_case_errors(
    run: str | Path | RunResults, *, title: str = "", ax: "Axes | None" = None
) -> "Axes":
    """Plot the relative L2 errors of the test cases, sorted for each field.

    A dashed line of the same colour is the mean error of the best baseline of the field. Where the
    curve is below it, the model is better than that mean. At most seven fields are drawn.

    Args:
        run: Folder of a run, or its results.
        title: Title of the chart.
        ax: Axes to draw on; those of a new figure by default.

    Returns:
        The axes.

    Raises:
        FileNotFoundError: If the folder has no run that has ended.
        ValueError: If the run has no test cases, or a file is damaged.
        ImportError: If matplotlib is not installed.
    """
    results = run if isinstance(run, RunResults) else RunResults.read(run)
    names = list(dict.fromkeys(name for row in results.test_cases.values() for name in row))
    errors = {name: sorted(results.case_errors(name)) for name in names[:_MAX_FIELDS]}
    errors = {name: values for name, values in errors.items() if values}
    if not errors:
        raise ValueError(
            f"{results.folder}: expected the errors of test cases (got none in test_cases.csv); "
            f"set data.test_split, and run 'flare-mesh test --run {results.folder}'"
        )
    ax = chart_axes(ax, size=(6.0, 4.0))
    handles, labels = [], []
    for (name, values), colour in zip(errors.items(), COLOURS, strict=False):
        share = 100 * (np.arange(len(values)) + 0.5) / len(values)
        marker = "." if len(values) <= 100 else ""
        handles += ax.plot(share, values, color=colour, marker=marker)
        labels.append(legend_label(name))
        known = {base: found[name] for base, found in results.baselines.items() if name in found}
        if known:
            best = min(known, key=lambda base: known[base])
            handles.append(ax.axhline(known[best], color=colour, linestyle="--", linewidth=1))
            labels.append(legend_label(f"{name}, mean of {best}"))
    if all(values[0] > 0 for values in errors.values()):
        use_log_axis(ax)
    ax.set_xlim(0, 100)
    ax.legend(handles, labels, fontsize=8, frameon=False)
    set_labels(ax, "test cases with a smaller error [%]", "relative L2 error", title)
    return ax
