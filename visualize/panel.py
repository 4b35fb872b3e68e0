"""One view of a picture: the shape, its colour bar, and its texts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flare_mesh.visualize.camera import aim, view_vectors
from flare_mesh.visualize.colours import INK, MISSING, NUM_LABELS, PLAIN, WARNING, Colours
from flare_mesh.visualize.cut import SHOWN
from flare_mesh.visualize.dataset import cell_dimension
from flare_mesh.visualize.field_values import FieldValues
from flare_mesh.visualize.plot_options import PlotOptions
from flare_mesh.visualize.remarks import value_remarks
from flare_mesh.visualize.shape import Shape

# Edges of more faces than this would cover their colours.
_MAX_EDGES = 12_000
_MARGIN = 0.05
# Heights as shares of a view's height: title, line of the caption, colour bar.
_TITLE, _LINE, _BAR = 0.055, 0.038, 0.14
_BAR_WIDTH = 0.7
_MIN_AXES = 300  # pixels of a view below which the names of axes would overlap
_AXES = ("x_color", "y_color", "z_color")
_LIT = {"ambient": 0.6, "diffuse": 0.45, "specular": 0.0, "render": False}


@dataclass(frozen=True)
class Panel:
    """A shape with its colours and texts.

    Attributes:
        shape: What is drawn.
        values: The field in colours; None for the mesh alone.
        colours: Map and range.
        headings: Title and name of the view; a space keeps the room of a line.
        caption: Lines below them.
        warning: Line in red below the headings.
        bar: Whether the view has a colour bar of its own.
    """

    shape: Shape
    values: FieldValues | None
    colours: Colours
    headings: tuple[str, ...] = ()
    caption: tuple[str, ...] = ()
    warning: str = ""
    bar: bool = True


def draw_panel(plotter: Any, panel: Panel, options: PlotOptions) -> Any:
    """Draw a panel in the current view of a plotter, and aim the camera at it.

    Returns:
        The actor with the colours of the field.
    """
    shape, has_values = panel.shape, panel.values is not None
    actor = _draw_body(plotter, panel, options)
    if shape.overlay is not None:
        actor = plotter.add_mesh(shape.overlay, **_colouring(panel, has_values), **_LIT)
    if shape.ink is not None:
        plotter.add_mesh(shape.ink, color=INK, line_width=1.5, lighting=False, render=False)
    for edges, opacity in ((shape.outline, 0.45), (shape.nominal, 0.25)):
        if edges is not None:
            plotter.add_mesh(
                edges,
                color=INK,
                line_width=1.0,
                opacity=opacity,
                lighting=False,
                scalars=None,
                render=False,
            )
    remarks = [] if panel.values is None else value_remarks(panel.values, panel.colours)
    lines = [*panel.caption, *shape.notes, *remarks]
    top = _write(plotter, panel.headings, lines, panel.warning)
    barred = panel.values if panel.bar and not panel.colours.constant else None
    if barred is not None:
        draw_bar(plotter, actor, panel.colours, options.label or barred.label, _BAR, 0.028)
    if shape.flat is None and min(_pixels(plotter)) >= _MIN_AXES:
        _draw_axes(plotter)
    towards, up = view_vectors(options.view, shape.flat)
    area = (_MARGIN, _BAR + 0.02 if barred is not None else _MARGIN, 1 - _MARGIN, top - 0.02)
    aim(plotter.renderer, shape.corners, towards, up, area, _pixels(plotter))
    return actor


def _draw_body(plotter: Any, panel: Panel, options: PlotOptions) -> Any:
    shape, look = panel.shape, {}
    has_values = panel.values is not None and SHOWN in {
        *shape.body.point_data.keys(),
        *shape.body.cell_data.keys(),
    }
    if shape.is_cloud:
        size = max(2.0, min(12.0, 900.0 / max(1, shape.body.n_points) ** 0.5))
        look = {"style": "points", "point_size": size, "render_points_as_spheres": True}
    else:
        edges = options.edges
        if edges is None:
            plain = shape.ink is None and not shape.is_contour
            edges = plain and shape.body.n_cells <= _MAX_EDGES
        look = {"show_edges": edges, "edge_color": INK, "edge_opacity": 0.25, "line_width": 1.0}
        if cell_dimension(shape.body) == 1:
            look = {"line_width": 3.0}
    if shape.is_faded:
        return plotter.add_mesh(
            shape.body, color=PLAIN, opacity=0.18, lighting=shape.is_lit, scalars=None, **_LIT
        )
    return plotter.add_mesh(
        shape.body, lighting=shape.is_lit, **_colouring(panel, has_values), **look, **_LIT
    )


def _colouring(panel: Panel, has_values: bool) -> dict[str, Any]:
    if not has_values:
        return {"color": PLAIN, "scalars": None}
    colours = panel.colours
    return {
        "scalars": SHOWN,
        "clim": (colours.low, colours.high),
        "cmap": colours.map,
        "nan_color": MISSING,
        "show_scalar_bar": False,
        "interpolate_before_map": True,
    }


def _pixels(plotter: Any) -> tuple[float, float]:
    left, bottom, right, top = plotter.renderer.GetViewport()
    width, height = plotter.window_size
    return (right - left) * width, (top - bottom) * height


def _write(plotter: Any, headings: Sequence[str], lines: Sequence[str], warning: str) -> float:
    """Write headings and caption, and return the height below them as a share of the view."""
    height = _pixels(plotter)[1]
    top = 1.0 - 0.02
    rows = [(text, _TITLE, INK) for text in headings]
    rows += [(warning, _LINE, WARNING), *((text, _LINE, INK) for text in lines)]
    for text, share, colour in rows:
        if not text:
            continue
        top -= share
        _add_text(plotter, text, (0.03, top), 0.72 * share * height, colour)
    return top


def draw_bar(
    plotter: Any, actor: Any, colours: Colours, label: str, height: float, text: float
) -> None:
    """Draw a colour bar and its label at the bottom of the current view of a plotter.

    Args:
        plotter: A ``pyvista.Plotter``.
        actor: What has the colours.
        colours: Map and range.
        label: Text below the bar.
        height: Height of bar, numbers and label together, as a share of the view's.
        text: Height of a text, as a share of the view's.
    """
    pixels, low = _pixels(plotter)[1], 0.4 * height
    plotter.add_scalar_bar(
        # PyVista merges bars of one title.
        title=" " * (len(plotter.scalar_bars) + 1),
        mapper=actor.mapper,
        vertical=False,
        position_x=0.5 - _BAR_WIDTH / 2,
        position_y=low,
        width=_BAR_WIDTH,
        height=height - low,
        n_labels=NUM_LABELS,
        fmt=colours.number_format,
        color=INK,
        unconstrained_font_size=True,
        render=False,
        label_font_size=max(8, round(0.9 * text * pixels)),
    )
    name = _add_text(plotter, label, (0.5, low - 0.4 * text), text * pixels)
    name.prop.justification_horizontal, name.prop.justification_vertical = "center", "top"


def _draw_axes(plotter: Any) -> None:
    """Directions of x, y and z in the lower left corner."""
    plotter.add_axes(
        viewport=(0.0, 0.0, 0.13, 0.15), color=INK, line_width=2, **dict.fromkeys(_AXES, INK)
    )


def _add_text(
    plotter: Any, text: str, place: tuple[float, float], size: float, colour: str = INK
) -> Any:
    """Write a text at shares of the view's width and height, of a size in pixels."""
    actor = plotter.add_text(
        text, position=place, viewport=True, color=colour, font="arial", render=False
    )
    actor.prop.font_size = max(8, round(size))
    return actor
