"""Animation of a series of meshes or fields."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_mesh.choices import check_options
from flare_mesh.visualize.camera import enclosing_rows, flat_axis
from flare_mesh.visualize.colours import Colours, choose_colours
from flare_mesh.visualize.deformation import arrow_vectors, visible_scale, warp_vectors
from flare_mesh.visualize.field_values import FieldValues, find_field
from flare_mesh.visualize.field_view import deformation_caption
from flare_mesh.visualize.film import check_film_path, save_film
from flare_mesh.visualize.panel import Panel, draw_panel
from flare_mesh.visualize.picture import new_plotter
from flare_mesh.visualize.plot_options import PlotOptions
from flare_mesh.visualize.series import Frame, series_frames
from flare_mesh.visualize.shape import build_shape


def animate(
    series: Any,
    field: Any = None,
    *,
    path: str | Path,
    fps: float = 10.0,
    title: str = "",
    size: tuple[int, int] = (1000, 800),
    **options: Any,
) -> None:
    """Write an animation of a series in one view and with one range of colours::

        animate(lpbf.simulate(part, process, history=True), "temperature", path="build.gif")
        animate("rollout.pvd", "velocity", path="rollout.mp4", fps=24)
        animate(mesh, [mode_1, mode_2, mode_3], path="modes.gif", fps=1)

    Args:
        series: A list of meshes; a ``.pvd`` collection or a mesh file with several time steps; an
            ``lpbf.Result`` with a history, which is built layer by layer; a
            :class:`~flare_mesh.prediction.Prediction` of several time steps; or one mesh with a
            list of fields.
        field: Name of the field of all meshes, or a list of fields, one for each.
        path: File to write: ``.gif`` or ``.mp4``.
        fps: Pictures per second.
        title: Headline.
        size: Width and height, pixels.
        options: Options of :func:`plot_field`, except ``step``.

    Raises:
        ImportError: If ``.mp4`` needs a package that is not installed, or pictures cannot be drawn.
        ValueError: If there are not several meshes or fields, or as for :func:`plot_field`.
    """
    check_options("animate", options, {*PlotOptions.__annotations__} - {"step"})
    chosen = PlotOptions(**options)
    check_film_path(path)
    if not 0 < fps <= 100:
        raise ValueError(f"expected fps above 0 and up to 100 (got {fps})")
    frames = series_frames(series, field)
    extent = _measure(frames, chosen)
    if chosen.warp is not None and chosen.factor is None:
        chosen = replace(chosen, factor=visible_scale(extent.points, extent.largest))
    corners = extent.points + (chosen.factor or 0.0) * extent.displacement
    plotter = new_plotter(path, window_size=[*size])

    def pictures() -> Iterator[NDArray[np.uint8]]:
        for frame in frames:
            grid = frame.grid()
            values = _values(grid, frame, chosen)
            shape = build_shape(grid, values, chosen, vectors=extent.arrow)
            shape.corners, shape.flat = corners, flat_axis(corners)
            caption = tuple(filter(None, [frame.caption, *deformation_caption(chosen)]))
            plotter.clear_actors()
            plotter.scalar_bars.clear()
            draw_panel(plotter, Panel(shape, values, extent.colours, (title,), caption), chosen)
            plotter.render()
            yield plotter.screenshot(return_img=True)

    try:
        save_film(path, pictures(), fps)
    finally:
        plotter.close()


@dataclass(frozen=True)
class _Extent:
    """What all frames have in common.

    Attributes:
        colours: Map and range.
        points: Points that enclose all meshes, [K, 3].
        displacement: Their displacement, [K, 3], zero without one.
        largest: Largest norm of the displacement of all points.
        arrow: Largest norm of the vectors of arrows; None without arrows.
    """

    colours: Colours
    points: NDArray[np.floating]
    displacement: NDArray[np.floating]
    largest: float
    arrow: float | None


def _measure(frames: Sequence[Frame], options: PlotOptions) -> _Extent:
    shown, outer, shifts = [], [], []
    largest, arrow = 0.0, None
    for frame in frames:
        grid = frame.grid()
        values = _values(grid, frame, options)
        if values is not None:
            finite = values.values[np.isfinite(values.values)]
            shown.append(np.array([finite.min(), finite.max()]) if finite.size else finite)
        rows = enclosing_rows(grid.points)
        outer.append(np.asarray(grid.points)[rows])
        moved = warp_vectors(grid, options)
        shifts.append(np.zeros_like(outer[-1]) if moved is None else moved[rows])
        if moved is not None:
            largest = max(largest, float(np.linalg.norm(moved, axis=1).max()))
        arrows = arrow_vectors(grid, options)
        if arrows is not None:
            arrow = max(arrow or 0.0, float(np.linalg.norm(arrows, axis=1).max()))
    colours = choose_colours(shown, limits=options.clim, cmap=options.cmap)
    return _Extent(colours, np.concatenate(outer), np.concatenate(shifts), largest, arrow)


def _values(grid: Any, frame: Frame, options: PlotOptions) -> FieldValues | None:
    return None if frame.field is None else find_field(grid, frame.field).scalar(options.component)
