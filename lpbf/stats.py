"""Compare data sets with the published one: ``python -m lpbf.stats``."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from flare_mesh.files import atomic_path, check_folder
from lpbf.core.command import run_command
from lpbf.dataset.statistics import PUBLISHED, SUMMARY, read_statistics, table_rows

# Quantities in the figure, and whether their axis is logarithmic.
_SHOWN = {
    "nodes": True,
    "edges": True,
    "max |displacement|, mm": True,
    "max von Mises, MPa": False,
    "height, mm": False,
    "edges per node": False,
}
_COLORS = ("#c0392b", "#2c7fb8", "#7f8c3a", "#8e44ad")
_MARKS = {"published": "#222222", "published, unfiltered": "#999999"}


def write_figure(sets: Mapping[str, Mapping[str, NDArray[np.float64]]], path: str | Path) -> None:
    """Draw histograms of data sets, with the published means as lines.

    Args:
        sets: Statistics of :func:`lpbf.dataset.statistics.read_statistics`, by name.
        path: Picture to write, of a type of Matplotlib (PNG, PDF, SVG).

    Raises:
        ValueError: If the type is unknown.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator

    path = Path(path)
    figure = Figure(figsize=(12, 6.4), layout="constrained")
    kinds = FigureCanvasAgg(figure).get_supported_filetypes()
    if path.suffix[1:].lower() not in kinds:
        raise ValueError(f"{path}: expected a picture of type {sorted(kinds)}")
    axes = figure.subplots(2, 3)
    for axis, (quantity, logarithmic) in zip(axes.flat, _SHOWN.items(), strict=True):
        values = [statistics[quantity] for statistics in sets.values()]
        low, high = min(v.min() for v in values), max(v.max() for v in values)
        space = np.geomspace if logarithmic and low > 0 else np.linspace
        bins = np.clip(round(len(values[0]) ** 0.5), 8, 30)
        edges = space(low, high, bins + 1) if high > low else np.array([low - 0.5, high + 0.5])
        if space is np.geomspace:
            axis.set_xscale("log")
            axis.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))  # at least two per decade
            axis.xaxis.set_major_formatter("{x:g}")
            axis.xaxis.set_minor_formatter("")
        for color, name, value in zip(cycle(_COLORS), sets, values, strict=False):
            percent = np.full(len(value), 100 / len(value))
            axis.hist(value, edges, weights=percent, color=color, alpha=0.6, label=name)
        for name, color in _MARKS.items():
            mean = PUBLISHED[name].get(quantity, {}).get("mean")
            if mean is not None:
                axis.axvline(mean, color=color, linestyle="--", label=f"{name}, mean")
        axis.set(xlabel=quantity, ylabel="cases, %")
        axis.spines[["top", "right"]].set_visible(False)
    entries = {}
    for axis in axes.flat:
        handles, labels = axis.get_legend_handles_labels()
        entries |= dict(zip(labels, handles, strict=True))
    place, columns = "outside upper center", min(len(entries), 4)
    figure.legend([*entries.values()], [*entries], loc=place, ncols=columns, frameon=False)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=110)


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table; see :func:`lpbf.core.command.run_command` for the exit codes."""
    parser = argparse.ArgumentParser(prog="python -m lpbf.stats", description=__doc__)
    parser.add_argument("folders", nargs="+", metavar="DIR", help="data sets")
    parser.add_argument("--figure", metavar="FILE.png", help="histograms to draw")
    options = parser.parse_args(argv)
    return run_command(lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    if options.figure is not None:
        check_folder(options.figure)
    sets = {str(Path(folder)): read_statistics(folder) for folder in options.folders}
    if options.figure is not None:
        write_figure(sets, options.figure)
    table = Table("", "data set", *(("count", *SUMMARY)))
    for column in table.columns[2:]:
        column.justify = "right"
    last = None
    for quantity, name, figures in table_rows(sets):
        cells = [_number(figures.get(key)) for key in ("count", *SUMMARY)]
        if last not in (None, quantity):
            table.add_section()
        table.add_row("" if quantity == last else quantity, name, *cells)
        last = quantity
    Console(width=None if sys.stdout.isatty() else 120).print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
