"""From a mesh and the controls to what is drawn."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from flare_mesh.viewer.fields import BAND, ERROR, NORM, PREDICTION, TRUTH, ViewField, values_of
from flare_mesh.viewer.selection import Selection
from flare_mesh.visualize.colours import NUM_LABELS, Colours, choose_colours
from flare_mesh.visualize.deformation import visible_scale
from flare_mesh.visualize.field_values import FieldValues, at_nodes
from flare_mesh.visualize.plot_options import PlotOptions
from flare_mesh.visualize.remarks import value_remarks
from flare_mesh.visualize.shape import Shape, build_shape

MAX_FACES = 200_000
"""Largest number of faces, or of points of a cloud, that is sent to the browser."""


@dataclass(frozen=True)
class Drawing:
    """A picture for the browser.

    Attributes:
        shape: The deformed surface and its outline.
        colours: Map and range; None for the mesh alone.
        label: Name and unit of the values.
        ticks: Numbers at the colour bar, from the lowest; empty for a constant field.
        caption: Remarks.
    """

    shape: Shape
    colours: Colours | None
    label: str
    ticks: tuple[str, ...]
    caption: str


def draw(grid: Any, fields: dict[str, ViewField], selection: Selection) -> Drawing:
    """Cut, deform and reduce a mesh, and choose the colours of its values.

    Truth and prediction have one range of colours, of both, whatever is clipped. The prediction and
    its band are on the shape that is deformed by the predicted displacement, truth and error on
    that of the true one.

    Raises:
        ValueError: If the clip plane leaves nothing, or the field does not fit the mesh.
    """
    values = _scalar(grid, selection, selection.kind) if selection.field else None
    options = PlotOptions(
        warp=_warp(grid, fields, selection),
        factor=selection.factor if selection.warp else None,
        clip=None if selection.clip is None else selection.clip.text,
        max_faces=MAX_FACES,
    )
    shape = build_shape(grid, values, options)
    caption = [] if not selection.warp else [f"deformation x {selection.factor:g}"]
    caption += shape.notes
    if values is None:
        return Drawing(shape, None, "", (), "; ".join(caption))
    colours = _colours(grid, fields[selection.field], selection, values)
    caption += value_remarks(values, colours)
    ticks = np.linspace(colours.low, colours.high, NUM_LABELS)
    texts = () if colours.constant else tuple(colours.number_format % tick for tick in ticks)
    return Drawing(shape, colours, values.label, texts, "; ".join(caption))


def suitable_factor(grid: Any, fields: dict[str, ViewField], warp: str) -> float:
    """Scale factor of one digit at which a displacement, true and predicted, can be seen.

    It is 1 if there is none.
    """
    if warp not in fields:
        return 1.0
    largest = 0.0
    for kind in fields[warp].kinds:
        if kind in (TRUTH, PREDICTION):
            lengths = np.linalg.norm(values_of(grid, warp, kind).values, axis=1)
            largest = max(largest, float(lengths[np.isfinite(lengths)].max(initial=0.0)))
    return visible_scale(np.asarray(grid.points), largest)


def _scalar(grid: Any, selection: Selection, kind: str) -> FieldValues:
    component = None if selection.component in ("", NORM) or kind == BAND else selection.component
    return values_of(grid, selection.field, kind).scalar(component)


def _colours(grid: Any, field: ViewField, selection: Selection, values: FieldValues) -> Colours:
    if selection.kind in (ERROR, BAND):
        return choose_colours([values.values], error=True)
    shared = [kind for kind in (TRUTH, PREDICTION) if kind in field.kinds]
    return choose_colours([_scalar(grid, selection, kind).values for kind in shared])


def _warp(grid: Any, fields: dict[str, ViewField], selection: Selection) -> FieldValues | None:
    if not selection.warp:
        return None
    return at_nodes(
        grid, values_of(grid, selection.warp, _moving_kind(fields[selection.warp], selection.kind))
    )


def _moving_kind(field: ViewField, shown: str) -> str:
    """Whether the truth or the prediction of a displacement deforms the shape."""
    wanted = PREDICTION if shown in (PREDICTION, BAND) else TRUTH
    return wanted if wanted in field.kinds else field.kinds[0]
