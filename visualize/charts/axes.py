"""Axes and look of the charts; matplotlib is imported when the first one is drawn."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK = "#1f2933"
FAINT = "#9aa5b1"

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Colours of Okabe and Ito, which colour-blind readers can tell apart."""

STYLES = ("-", "--", "-.", ":")

DENSITY = "viridis"
"""Colour map of numbers of points."""


def chart_axes(ax: "Axes | None", *, size: tuple[float, float] = (5.0, 4.0)) -> "Axes":
    """Axes to draw on, in the look of all charts.

    Args:
        ax: The user's axes; None for those of a new figure.
        size: Width and height of a new figure, inches.

    Raises:
        ImportError: If matplotlib is not installed.
    """
    if ax is None:
        try:
            from matplotlib import pyplot
        except ImportError as error:
            raise ImportError(
                "charts need matplotlib, which is not installed; install it by "
                "'pip install flare-mesh[view]'"
            ) from error
        ax = pyplot.subplots(figsize=size, layout="constrained")[1]
    ax.set_axisbelow(True)
    ax.grid(True, color="#e4e7eb", linewidth=0.8)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        ax.spines[side].set_color(FAINT)
    ax.tick_params(colors=INK, which="both", labelsize=9)
    return ax


def set_labels(ax: "Axes", x: str, y: str, title: str = "") -> None:
    """Set the labels and the title; no part of them is read as a formula."""
    options: dict[str, Any] = {"parse_math": False, "color": INK}
    ax.set_xlabel(x, **options)
    ax.set_ylabel(y, **options)
    if title:
        ax.set_title(title, fontsize=11, loc="left", **options)


def use_log_axis(ax: "Axes") -> None:
    """Make the vertical axis logarithmic, with plain numbers as labels.

    Matplotlib's own labels, powers of ten, take half of the time of a chart.
    """
    from matplotlib.ticker import FuncFormatter

    def between(value: float, _: int) -> str:
        low, high = ax.get_ylim()
        # Of the numbers between powers of ten, 2 and 5 times a power where there is room.
        return f"{value:g}" if high < 100 * low and f"{value:e}"[0] in "25" else ""

    ax.set_yscale("log")
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.yaxis.set_minor_formatter(FuncFormatter(between))


def add_note(ax: "Axes", text: str, *, place: tuple[float, float] = (0.03, 0.97)) -> None:
    """Write a text into a corner of the axes, by the share of their width and height."""
    ax.text(
        *place,
        text,
        transform=ax.transAxes,
        ha="left" if place[0] < 0.5 else "right",
        va="top" if place[1] > 0.5 else "bottom",
        color=INK,
        fontsize=9,
        parse_math=False,
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 2},
    )


def legend_label(text: str) -> str:
    """A text for a legend: no formula between dollar signs, and shown with a leading underscore."""
    text = text.replace("$", r"\$")
    return f" {text}" if text.startswith("_") else text


def with_unit(text: str, unit: str | None) -> str:
    """A label with its unit in brackets, such as ``displacement [mm]``; ``1`` is no unit."""
    return text if unit in (None, "", "1") else f"{text} [{unit}]"
