"""Report of predictions."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from flare_mesh.prediction import Prediction
from flare_mesh.prediction.read_prediction import read_prediction
from flare_mesh.report.case_view import CaseView, view_of
from flare_mesh.report.document import Section, write_document
from flare_mesh.report.html import Html, table, tag
from flare_mesh.report.interactive import interactive
from flare_mesh.report.numbers import UNKNOWN, percent, short
from flare_mesh.report.pictures import MAX_FIELDS, Painter, chart
from flare_mesh.visualize import plot_error_histogram, plot_parity

MAX_PICTURED = 10
"""Largest number of predictions with pictures."""

_MAX_ROWS = 1_000


class _Row(NamedTuple):
    """Numbers of a prediction."""

    file: Path
    places: str
    score: float | None
    is_unlike: bool
    coverage: float | None
    errors: dict[str, float]
    bands: dict[str, str]


def report_predictions(files: Sequence[Path], out: str | Path, *, title: str) -> list[str]:
    """Write the report of some predictions.

    Args:
        files: Files of predictions, at least one.
        out: HTML file to write.
        title: Name of what is reported.

    Returns:
        What is missing in the report, and why.

    Raises:
        ValueError: If a file cannot be read.
        ImportError: If matplotlib is not installed.
    """
    rows = [_row(file) for file in files]
    missing: list[str] = []
    pictured = [row.file for row in rows]
    if len(rows) > MAX_PICTURED:
        # One that is unlike the training cases is the one to look at.
        ranked = sorted(
            rows, key=lambda row: -1.0 if row.score is None else row.score, reverse=True
        )
        pictured = [row.file for row in ranked[:MAX_PICTURED]]
        which = "the most unlike the training cases" if ranked[0].score is not None else "the first"
        missing.append(f"There are pictures of {MAX_PICTURED} of {len(rows):,} files, {which}.")
    views: list[CaseView] = []
    parts: list[Html] = []
    painter = Painter()
    for file in pictured:
        prediction = read_prediction(file)
        view = view_of(prediction, title=file.name)
        views.append(view)
        parts += [tag("h3", view.title), *_step_note(prediction), *painter.pictures(view)]
        parts += _charts(view)
    if painter.problem:
        missing.append(f"There are no pictures of fields: {painter.problem}.")
    scene, elements = interactive(views)
    lead = [tag("p", _lead(rows), cls="verdict")]
    lead += [tag("p", text, cls="note warn") for text in missing]
    sections = [
        Section("Numbers", _table(rows)),
        Section("Pictures", parts),
        Section("Look at the fields", elements),
    ]
    write_document(out, f"{title}: report of predictions", lead, sections, scene)
    return missing


def _row(file: Path) -> _Row:
    found = read_prediction(file)
    bands = {}
    for name, band in found.band.items():
        unit = found.units.get(name)
        bands[name] = f"± {short(float(band.nanmean()))}{f' {unit}' if unit else ''}"
    places = f"{found.num_points:,} {'cells' if found.on_cells else 'nodes'}"
    return _Row(
        file, places, found.ood_score, found.is_unlike, found.coverage, found.relative_l2, bands
    )


def _lead(rows: Sequence[_Row]) -> str:
    what = "one file" if len(rows) == 1 else f"{len(rows):,} files"
    scored = [row for row in rows if row.score is not None]
    text = f"Predicted fields of {what}."
    if not scored:
        return f"{text} The surrogate was not calibrated: nothing is known about its errors here."
    unlike = sum(row.is_unlike for row in scored)
    if not unlike:
        return f"{text} None of them is unlike the training cases."
    which = "It is" if len(rows) == 1 else f"{unlike:,} of them are"
    return (
        f"{text} {which} unlike the training cases: do not trust the prediction and its bands "
        f"without a check."
    )


def _table(rows: Sequence[_Row]) -> list[Html]:
    fields = list(dict.fromkeys(name for row in rows for name in (*row.errors, *row.bands)))
    head: list[object] = ["file", "size", "unlikeness"]
    for name in fields:
        if any(name in row.errors for row in rows):
            head.append(f"relative L2 error of {name}")
        if any(name in row.bands for row in rows):
            head.append(f"mean band of {name}")
    lines = []
    for row in rows[:_MAX_ROWS]:
        line: list[object] = [row.file.name, row.places]
        line.append(tag("strong", short(row.score)) if row.is_unlike else short(row.score))
        for name in fields:
            if any(name in one.errors for one in rows):
                line.append(short(row.errors.get(name)))
            if any(name in one.bands for one in rows):
                line.append(row.bands.get(name, UNKNOWN))
        lines.append(line)
    found = [table(head, lines)]
    coverages = {row.coverage for row in rows if row.coverage is not None}
    if coverages:
        shares = " or ".join(percent(share) for share in sorted(coverages))
        found.append(
            tag(
                "p",
                f"A band covers {shares} of the nodes of a case like the training cases. The "
                f"unlikeness of known cases is at most about 1; above 1.5 it is bold.",
                cls="note",
            )
        )
    if len(rows) > len(lines):
        found.append(tag("p", f"and {len(rows) - len(lines):,} more files", cls="note"))
    return found


def _step_note(prediction: Prediction) -> list[Html]:
    if len(prediction.times) < 2:
        return []
    text = f"The last of {len(prediction.times)} time steps, at {short(prediction.times[-1])}."
    return [tag("p", text, cls="note")]


def _charts(view: CaseView) -> list[Html]:
    """Parity and errors of each field whose truth is known."""
    found = []
    for one in view.fields[:MAX_FIELDS]:
        if one.truth is not None:
            options = {"field": one.name, "unit": one.unit, "size": (4.8, 4.2)}
            pair = one.predicted, one.truth
            charts = [
                chart(plot_parity, *pair, alt=f"parity of {one.name}", **options),
                chart(plot_error_histogram, *pair, alt=f"errors of {one.name}", **options),
            ]
            found.append(tag("div", *charts, cls="charts"))
    return found
