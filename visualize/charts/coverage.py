"""Coverage of the bands of a run."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from flare_mesh.training.run_results import RunResults
from flare_mesh.visualize.charts.axes import COLOURS, FAINT, INK, chart_axes, set_labels

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_coverage(
    run: str | Path | RunResults, *, title: str = "", ax: "Axes | None" = None
) -> "Axes":
    """Plot the share of the nodes of the test cases that the bands cover, beside the nominal share.

    A point is the mean over the test cases with its standard error. A grey bar is the range that is
    likely over very many new cases, for the number of cases that the bands were calibrated on. The
    vertical line is the nominal share.

    Args:
        run: Folder of a run, or its results.
        title: Title of the chart.
        ax: Axes to draw on; those of a new figure by default.

    Returns:
        The axes.

    Raises:
        FileNotFoundError: If the folder has no run that has ended.
        ValueError: If the run has no bands that were tested, or a file is damaged.
        ImportError: If matplotlib is not installed.
    """
    results = run if isinstance(run, RunResults) else RunResults.read(run)
    bands: Any = results.bands
    if bands is None:
        raise ValueError(
            f"{results.folder}: expected bands that were tested (got none in summary.json); train "
            f"with data.val_split, data.test_split and coverage set"
        )
    try:
        nominal = 100 * float(bands["coverage"])
        names = [str(name) for name in bands["covered"]]
        covered = [100 * float(bands["covered"][name]) for name in names]
        spread = [100 * float(bands["covered_error"].get(name) or 0) for name in names]
        ranges = [bands["likely"].get(name) for name in names]
        likely = [None if one is None else (100 * one[0], 100 * one[1]) for one in ranges]
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(
            f"{results.folder / 'summary.json'}: damaged (bands: {type(error).__name__} {error}); "
            f"restore it, or train the run again"
        ) from error
    ax = chart_axes(ax, size=(6.0, 1.6 + 0.5 * len(names)))
    for row, one in enumerate(likely):
        if one is not None:
            ax.plot(one, (row, row), color=FAINT, linewidth=9, alpha=0.5, solid_capstyle="butt")
    ax.errorbar(
        covered, range(len(names)), xerr=spread, fmt="o", color=COLOURS[0], capsize=3, zorder=3
    )
    ax.axvline(nominal, color=INK, linewidth=1)
    ax.set_yticks(range(len(names)))
    ax.set_yticklabels(names, parse_math=False)
    ax.set_ylim(len(names) - 0.5, -0.5)
    ends = [nominal, *(value + s for value, s in zip(covered, spread, strict=True))]
    ends += [value - s for value, s in zip(covered, spread, strict=True)]
    ends += [end for one in likely if one is not None for end in one]
    ax.set_xlim(max(0.0, min(ends) - 3), min(101.0, max(ends) + 3))
    set_labels(ax, f"nodes inside of the bands [%]; nominal {nominal:g} %", "", title)
    return ax
