"""Charts and pictures of a report."""

import io
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from flare_mesh.cases.prediction_mark import band_name, predicted_name
from flare_mesh.mesh import MeshData
from flare_mesh.mesh.mesh_storage import CELL_PREFIX
from flare_mesh.report.case_view import CaseView, FieldView
from flare_mesh.report.html import Html, figure, image, tag

MAX_FIELDS = 4
"""Largest number of fields of a case that are drawn."""

_COMPARISON, _SINGLE = (1800, 640), (900, 640)  # pixels


def chart(
    draw: Callable[..., Any],
    *args: Any,
    alt: str,
    size: tuple[float, float] = (6.0, 4.0),
    **options: Any,
) -> Html:
    """A chart as an SVG picture; the reason as a text if it cannot be drawn.

    Args:
        draw: A function of :mod:`flare_mesh.visualize.charts`.
        args: Its arguments.
        alt: Text for readers who do not see it.
        size: Width and height, inches.
        options: More arguments.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    paper = Figure(figsize=size, layout="constrained")
    try:
        draw(*args, ax=paper.subplots(), **options)
    except ValueError as error:
        return tag("p", f"No chart: {error}.", cls="note")
    content = io.BytesIO()
    with rc_context({"svg.fonttype": "path", "svg.hashsalt": "flare-mesh"}):
        # The date would make two reports of one run differ.
        paper.savefig(content, format="svg", dpi=150, metadata={"Date": None})
    return figure(image(content.getvalue(), "svg+xml", alt=alt))


class Painter:
    """Pictures of cases, as long as they can be drawn here.

    Attributes:
        problem: Why there are no pictures; empty if there are.
    """

    def __init__(self) -> None:
        self.problem = ""

    def pictures(self, case: CaseView) -> list[Html]:
        """A picture of each field of a case, up to :data:`MAX_FIELDS`, or the reason for none."""
        found = []
        for one in case.fields[:MAX_FIELDS]:
            if self.problem:
                return found
            found.append(self._picture(case, one))
        rest = ", ".join(one.name for one in case.fields[MAX_FIELDS:])
        return [*found, tag("p", f"Not drawn: {rest}.", cls="note")] if rest else found

    def _picture(self, case: CaseView, one: FieldView) -> Html:
        from flare_mesh.visualize import plot_comparison, plot_field

        mesh, name, options = _mesh(case, one), one.name, _options(case, one)
        try:
            if one.truth is not None:
                content = _draw(plot_comparison, mesh, name, size=_COMPARISON, **options)
                alt = f"truth, prediction and error of {name}, {case.title}"
                return figure(image(content, "webp", alt=alt))
            content = _draw(plot_field, mesh, predicted_name(name), size=_SINGLE, **options)
            shown = [image(content, "webp", alt=f"prediction of {name}, {case.title}")]
            if one.band is not None:
                band = _draw(plot_field, mesh, band_name(name), size=_SINGLE, **options)
                shown.append(image(band, "webp", alt=f"band of {name}, {case.title}"))
        except ImportError as error:  # no OpenGL
            self.problem = str(error)
            return Html("")
        except ValueError as error:
            return tag("p", f"No picture of {name}: {error}.", cls="note")
        return tag("div", *map(figure, shown), cls="charts")


def _mesh(case: CaseView, one: FieldView) -> Any:
    """The mesh with the values of a field, by the names in files of predictions."""
    mesh = MeshData(case.mesh.pos)
    mesh.cell_index, mesh.cell_type = case.mesh.cell_index, case.mesh.cell_type
    prefix = CELL_PREFIX if case.on_cells else ""
    given = {
        predicted_name(one.name): one.predicted,
        one.name: one.truth,
        band_name(one.name): one.band,
    }
    for name, values in given.items():
        if values is not None:
            mesh[prefix + name] = torch.from_numpy(values)
    if one.unit:
        mesh.units = {name: one.unit for name, values in given.items() if values is not None}
    return mesh


def _options(case: CaseView, one: FieldView) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if one.predicted.shape[1] > 3:
        options["component"] = 0
    if case.is_deformed_by(one):
        options["warp"] = one.name if one.truth is not None else predicted_name(one.name)
    return options


def _draw(draw: Callable[..., Any], *args: Any, **options: Any) -> bytes:
    """A picture in the format WebP, in which ten cases stay within 20 MB."""
    from PIL import Image

    content = io.BytesIO()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture.png"
        draw(*args, path=path, **options)
        with Image.open(path) as picture:
            picture.convert("RGB").save(content, "WEBP", quality=88, method=4)
    return content.getvalue()
