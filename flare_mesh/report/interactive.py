"""The interactive view as elements of a report."""

from collections.abc import Sequence
from typing import Any

from flare_mesh.report.case_view import CaseView
from flare_mesh.report.html import Html, tag
from flare_mesh.report.scene import scene_of

_HOW = (
    "Drag to rotate, shift and drag to move, turn the wheel to zoom, double click to reset. Values "
    "that are missing are pink."
)


def interactive(views: Sequence[CaseView]) -> tuple[dict[str, Any] | None, list[Html]]:
    """Data of the interactive view of some cases, and its elements; the reason if there is none."""
    try:
        scene = scene_of(views)
    except ValueError as error:
        return None, [tag("p", f"No interactive view: {error}.", cls="note")]
    return scene, [tag("p", _HOW, cls="note interactive"), tag("div", id="view")]
