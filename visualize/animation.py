"""Animation of a series of meshes or fields."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_mesh.choices import check_options
from flare_mesh.visualize.camera import flat_axis
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
        chosen = replace(chosen, factor=visible_scale(extent.box, extent.displacement))
    corners = extent.corners(chosen.factor or 0.0)
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
        box: Smallest and largest coordinates, [2, 3].
        displacement: Largest norm of the displacement.
        shift: Smallest and largest displacement in each direction, [2, 3], and zero.
        arrow: Largest norm of the vectors of arrows; None without arrows.
    """

    colours: Colours
    box: NDArray[np.float64]
    displacement: float
    shift: NDArray[np.float64]
    arrow: float | None

    def corners(self, factor: float) -> NDArray[np.float64]:
        """Corners of a box around all deformed meshes, [8, 3]."""
        low, high = self.box + factor * self.shift
        return np.array(
            [
                [x, y, z]
                for x in (low[0], high[0])
                for y in (low[1], high[1])
                for z in (low[2], high[2])
            ]
        )


def _measure(frames: Sequence[Frame], options: PlotOptions) -> _Extent:
    shown, boxes, shifts = [], [], [np.zeros((2, 3))]
    largest, arrow = 0.0, None
    for frame in frames:
        grid = frame.grid()
        values = _values(grid, frame, options)
        if values is not None:
            finite = values.values[np.isfinite(values.values)]
            shown.append(np.array([finite.min(), finite.max()]) if finite.size else finite)
        boxes.append(np.reshape(grid.bounds, (3, 2)).T)
        moved = warp_vectors(grid, options)
        if moved is not None and len(moved):
            shifts.append(np.stack([moved.min(axis=0), moved.max(axis=0)]))
            largest = max(largest, float(np.linalg.norm(moved, axis=1).max()))
        arrows = arrow_vectors(grid, options)
        if arrows is not None:
            arrow = max(arrow or 0.0, float(np.linalg.norm(arrows, axis=1).max(initial=0.0)))
    box, shift = (_join(found) for found in (boxes, shifts))
    colours = choose_colours(shown, limits=options.clim, cmap=options.cmap)
    return _Extent(colours, box, largest, shift, arrow)


def _join(boxes: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """The smallest box around some, each by its smallest and largest coordinates [2, 3]."""
    both = np.stack(boxes)
    return np.stack([both[:, 0].min(axis=0), both[:, 1].max(axis=0)])


def _values(grid: Any, frame: Frame, options: PlotOptions) -> FieldValues | None:
    return None if frame.field is None else find_field(grid, frame.field).scalar(options.component)
