"""Predicted against true values."""

from typing import TYPE_CHECKING, Any

import numpy as np

from flare_mesh.visualize.charts.axes import (
    COLOURS,
    DENSITY,
    INK,
    add_note,
    chart_axes,
    set_labels,
    with_unit,
)
from flare_mesh.visualize.charts.values import Values, finite_rows, left_out, value_pair

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAX_POINTS = 3_000
"""Largest number of points that are drawn one by one; more are counted in hexagons."""

_HEXAGONS = 60


def plot_parity(
    predicted: Values,
    truth: Values,
    *,
    field: str = "value",
    unit: str | None = None,
    title: str = "",
    ax: "Axes | None" = None,
) -> "Axes":
    """Plot predicted against true values; a perfect prediction is on the diagonal.

    All components of a vector field are drawn. More than 3,000 points are counted in hexagons,
    whose colour is the number of points on a logarithmic scale. The coefficient of determination
    R² is written into the chart.

    Args:
        predicted: Predicted values, [N] or [N, C].
        truth: True values of the same shape.
        field: Name of the field.
        unit: Its unit.
        title: Title of the chart.
        ax: Axes to draw on; those of a new figure by default.

    Returns:
        The axes.

    Raises:
        ValueError: If the shapes differ, or no value is finite.
        ImportError: If matplotlib is not installed.
    """
    pair = value_pair(predicted, truth)
    (y, x), dropped = finite_rows(*(values.ravel() for values in pair))
    ax = chart_axes(ax, size=(4.6, 4.4))
    low, high = min(x.min(), y.min()), max(x.max(), y.max())
    margin = 0.03 * (high - low) or 0.03 * abs(high) or 1.0
    limits = (low - margin, high + margin)
    if len(x) > MAX_POINTS:
        box: Any = (*limits, *limits)
        options: Any = {"gridsize": _HEXAGONS, "extent": box, "mincnt": 1, "linewidths": 0.1}
        options["rasterized"] = True  # thousands of shapes in a vector file
        shown = ax.hexbin(x, y, bins="log", cmap=DENSITY, **options)
        ax.figure.colorbar(shown, ax=ax, label="points", shrink=0.8)
    else:
        ax.scatter(x, y, s=9, color=COLOURS[0], alpha=0.5, linewidths=0, rasterized=True)
    ax.plot(limits, limits, color=INK, linewidth=1)
    ax.set(xlim=limits, ylim=limits, aspect="equal")
    spread = np.square(x - x.mean()).sum()
    text = f"R² = {1 - np.square(y - x).sum() / spread:.4f}" if spread > 0 else "constant truth"
    add_note(ax, text + left_out(dropped))
    set_labels(ax, with_unit(f"true {field}", unit), with_unit(f"predicted {field}", unit), title)
    return ax
