"""Distribution of the errors at the nodes."""

from typing import TYPE_CHECKING

import numpy as np

from flare_mesh.visualize.charts.axes import (
    COLOURS,
    INK,
    add_note,
    chart_axes,
    set_labels,
    use_log_axis,
    with_unit,
)
from flare_mesh.visualize.charts.values import Values, finite_rows, left_out, value_pair

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BINS = 60


def plot_error_histogram(
    predicted: Values,
    truth: Values,
    *,
    field: str = "value",
    unit: str | None = None,
    title: str = "",
    ax: "Axes | None" = None,
) -> "Axes":
    """Plot how often each error occurs, on a logarithmic scale.

    The error is the prediction minus the truth; for a vector field its norm. Its mean (of a scalar
    field), root mean square and 95 % quantile of the magnitude are written into the chart.

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
    first, second = value_pair(predicted, truth)
    errors = first - second
    is_vector = errors.shape[1] > 1
    (error,), dropped = finite_rows(np.linalg.norm(errors, axis=1) if is_vector else errors[:, 0])
    ax = chart_axes(ax)
    counts = ax.hist(error, bins=_BINS, color=COLOURS[0])[0]
    use_log_axis(ax)
    ax.set_ylim(0.7, 12 * np.max(counts))  # room for the text
    ax.axvline(0, color=INK, linewidth=1)
    unit_text = "" if unit in (None, "", "1") else f" {unit}"
    lines = [] if is_vector else [f"mean {error.mean():.3g}{unit_text}"]
    lines.append(f"root mean square {np.sqrt(np.square(error).mean()):.3g}{unit_text}")
    lines.append(f"95 % below {np.quantile(np.abs(error), 0.95):.3g}{unit_text}")
    add_note(ax, "\n".join(lines) + left_out(dropped), place=(0.97, 0.97))
    what = f"norm of the error of {field}" if is_vector else f"error of {field}"
    set_labels(ax, with_unit(what, unit), "points", title)
    return ax
