"""Tables and figure of a benchmark."""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flare_mesh.files import atomic_path, write_text
from flare_mesh.training.run_folder import write_csv

_MEANS = ("parameters", "ms_per_step", "peak_memory_mb", "epochs", "steps", "train_seconds")
_NARROW = 30.0  # range of a logarithmic axis below which powers of ten would be too few labels


def write_tables(folder: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write ``results.csv``, ``table.csv`` and ``table.md``."""
    write_csv(folder / "results.csv", rows)
    table = summarize(rows)
    write_csv(folder / "table.csv", table)
    write_text(folder / "table.md", _markdown(table))


def draw_results(folder: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write the figure ``results.png``, unless all runs failed."""
    table = [row for row in summarize(rows) if "relative_l2" in row]
    if any("ms_per_step" in row for row in table):
        with atomic_path(folder / "results.png") as temporary:
            _draw(table, temporary)


def summarize(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A row for each model: means over its runs, without failed ones.

    Errors also have a sample standard deviation (n - 1), which is empty for a single run.
    """
    table = []
    for model in dict.fromkeys(row["model"] for row in rows):
        runs = [row for row in rows if row["model"] == model]
        done = [row for row in runs if not row["failed"]]
        out: dict[str, Any] = {"model": model, "runs": f"{len(done)} of {len(runs)}"}
        for name in [key for key in (done[0] if done else ()) if "relative_l2" in key]:
            values = [row[name] for row in done]
            out[name] = statistics.mean(values)
            out[f"{name}_std"] = statistics.stdev(values) if len(values) > 1 else ""
        # Baselines have a time only.
        for name in [name for name in _MEANS if done and name in done[0]]:
            out[name] = statistics.mean(row[name] for row in done)
        reasons = dict.fromkeys(row["failed"] for row in runs if row["failed"])
        out["failed"] = "; ".join(reasons)
        table.append(out)
    return table


def _markdown(table: Sequence[Mapping[str, Any]]) -> str:
    columns = [key for key in dict.fromkeys(k for row in table for k in row)
               if not key.endswith("_std")]  # fmt: skip
    # The reasons of failures are long, and so the last column.
    columns = [key for key in columns if key != "failed"]
    if any(row["failed"] for row in table):
        columns.append("failed")
    left = ("model", "runs", "failed")
    lines = [
        "| " + " | ".join(key.replace("_", " ") for key in columns) + " |",
        "|" + "|".join("---" if key in left else "---:" for key in columns) + "|",
    ]
    lines += ["| " + " | ".join(_cell(row, key) for key in columns) + " |" for row in table]
    return "\n".join(lines) + "\n"


def _cell(row: Mapping[str, Any], key: str) -> str:
    value = row.get(key, "")
    if isinstance(value, str):
        return value.replace("|", r"\|")
    if "relative_l2" in key:
        spread = row[f"{key}_std"]
        return f"{value:.5f}" + (f" ± {spread:.5f}" if spread != "" else "")
    if key in ("ms_per_step", "train_seconds"):
        return f"{value:,.1f}"
    return f"{value:,.0f}"


def _draw(done: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Plot errors and their spread over the time per step and over the number of parameters."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    trained = [row for row in done if "ms_per_step" in row]
    simple = [row for row in done if "ms_per_step" not in row]
    columns = 4
    lines = -(-len(done) // columns)
    figure = Figure(figsize=(9, 4 + 0.25 * lines), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, sharey=True)
    markers = "os^Dv<>pX*"
    handles = []
    for number, row in enumerate(trained):
        style: dict[str, Any] = {
            "color": f"C{number % 10}",
            "marker": markers[number % len(markers)],
            "linestyle": "",
            "capsize": 4,
            "label": row["model"],
        }
        spread = row["relative_l2_std"] or None
        for axis, key in ((left, "ms_per_step"), (right, "parameters")):
            drawn = axis.errorbar(row[key], row["relative_l2"], yerr=spread, **style)
        handles.append(drawn)
    for number, row in enumerate(simple):
        style = {"color": "0.4", "linestyle": ["-", "--", ":", "-."][number % 4]}
        for axis in (left, right):
            drawn = axis.axhline(row["relative_l2"], label=row["model"], linewidth=1, **style)
        handles.append(drawn)
    left.set(xlabel="time per step, ms", ylabel="relative L2 error, test cases")
    right.set(xlabel="parameters")
    for axis in (left, right):
        axis.set(xscale="log", yscale="log")
        axis.grid(alpha=0.3, which="both")
        axis.margins(0.15)
        for one in (axis.xaxis, axis.yaxis):
            label_log_axis(one)
    figure.legend(
        handles=handles, loc="outside lower center", ncols=min(columns, len(done)), frameon=False
    )
    figure.savefig(path, dpi=120)


def label_log_axis(axis: Any) -> None:
    """Label a logarithmic axis by plain numbers that do not overlap.

    Args:
        axis: ``xaxis`` or ``yaxis`` of axes that have their data.
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

    low, high = axis.axes.get_xlim() if axis.axis_name == "x" else axis.axes.get_ylim()
    axis.set_minor_formatter(NullFormatter())
    narrow = high < _NARROW * low
    axis.set_major_locator(MaxNLocator(4) if narrow else LogLocator(numticks=4))
    if narrow:
        axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
