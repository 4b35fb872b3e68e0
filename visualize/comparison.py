"""Truth, prediction and error of a field, side by side."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from flare_mesh.cases.prediction_mark import predicted_name
from flare_mesh.choices import check_options
from flare_mesh.io.mesh_formats import READABLE_SUFFIXES
from flare_mesh.visualize.colours import choose_colours
from flare_mesh.visualize.dataset import to_grid
from flare_mesh.visualize.deformation import with_factor
from flare_mesh.visualize.field_values import FieldValues, field_names, find_field
from flare_mesh.visualize.field_view import deformation_caption
from flare_mesh.visualize.panel import Panel, draw_panel
from flare_mesh.visualize.picture import check_picture_path, finish_view, new_plotter
from flare_mesh.visualize.plot_options import PlotOptions
from flare_mesh.visualize.shape import build_shape, common_corners

# Distance of a node from its place as a share of the diagonal: digits that files leave out.
_SAME_PLACE = 1e-3


def plot_comparison(
    mesh: Any,
    truth: Any,
    prediction: Any = None,
    *,
    path: str | Path | None = None,
    plotter: Any = None,
    title: str = "",
    names: tuple[str, str, str] = ("truth", "prediction", "error"),
    size: tuple[int, int] = (1800, 720),
    error_clim: tuple[float, float] | None = None,
    **options: Any,
) -> Any:
    """Plot a true field, its prediction and the error side by side with linked cameras::

        plot_comparison("predicted.vtu", "von_mises", path="comparison.png")

    Truth and prediction share one range of colours; the error has its own. The error is the
    prediction minus the truth, of a vector field the norm of the difference. Its relative L2 norm
    is in its headline.

    Args:
        mesh: As in :func:`plot_field`.
        truth: Name of the true field, or values.
        prediction: Name of the predicted field, or values, or another mesh that has the field
            ``truth`` or ``predicted_<truth>``; None for the field ``predicted_<truth>``.
        path: Picture to write; None to return the plotter instead.
        plotter: A ``pyvista.Plotter`` with three views in its first row; None for a new one.
        title: Headline above the first view.
        names: Headlines of the views.
        size: Width and height of a new plotter, pixels.
        error_clim: Range of the colours of the error; None for that of its values.
        options: Options of :func:`plot_field`. ``warp`` may also be a pair of displacements, of
            truth and prediction; the error is drawn on the true shape. Where the compared field
            itself is the displacement, or the other mesh has a field of its name, each view is
            deformed by its own.

    Returns:
        The plotter; None if a new one was written to ``path``.

    Raises:
        FileNotFoundError: If the prediction is the name of a mesh file that does not exist.
        ValueError: If the fields differ in their shape, the other mesh has nodes at other places,
            or as for :func:`plot_field`.
    """
    check_options("plot_comparison", options, PlotOptions.__annotations__)
    chosen = PlotOptions(**options)
    check_picture_path(path)
    grid = to_grid(mesh, chosen.step)
    true = find_field(grid, truth, name=names[0])
    other = to_grid(prediction, chosen.step) if _is_mesh(prediction) else None
    predicted = _prediction(grid, other, truth, prediction, names[1])
    if predicted.values.shape != true.values.shape or predicted.on_cells != true.on_cells:
        raise ValueError(
            f"expected '{predicted.name}' of the shape {list(true.values.shape)} of '{true.name}' "
            f"(got {list(predicted.values.shape)})"
        )
    predicted = replace(predicted, unit=predicted.unit or true.unit)
    difference = predicted.values - true.values
    error = replace(true, name=f"{names[2]} of {true.name}", values=difference)
    fields = [one.scalar(chosen.component) for one in (true, predicted, error)]
    shared = choose_colours(
        [fields[0].values, fields[1].values], limits=chosen.clim, cmap=chosen.cmap
    )
    colours = [shared, shared, choose_colours([fields[2].values], limits=error_clim, error=True)]
    views = [replace(chosen, warp=warp) for warp in _warps(other, truth, true, predicted, chosen)]
    factor = with_factor(grid, views[0]).factor
    views = [replace(view, factor=factor) for view in views]
    if chosen.label:
        views[2] = replace(views[2], label=f"{names[2]} of {chosen.label}")
    shapes = [build_shape(grid, values, view) for values, view in zip(fields, views, strict=True)]
    corners, flat = common_corners(shapes)
    own = plotter is None
    if own:
        plotter = new_plotter(path, shape=(1, 3), window_size=list(size))
    pair = (true, predicted) if chosen.component is None else fields[:2]
    headlines = [*names[:2], f"{names[2]}{relative_norm(*(one.values for one in pair))}"]
    caption = deformation_caption(views[0])
    for column, shape in enumerate(shapes):
        plotter.subplot(0, column)
        shape.corners, shape.flat = corners, flat
        above = (title if column == 0 or not title else " ", headlines[column])
        lines = caption if column == 0 else (" ",) * len(caption)
        panel = Panel(shape, fields[column], colours[column], above, lines)
        draw_panel(plotter, panel, views[column])
    plotter.link_views([*range(3)])
    return finish_view(plotter, path, own)


def _prediction(grid: Any, other: Any, truth: Any, prediction: Any, name: str) -> FieldValues:
    if other is None and prediction is not None:
        if _is_file_name(prediction) and prediction not in field_names(grid):
            raise FileNotFoundError(
                f"{prediction}: no such file; give the path of a mesh file, or the name of a field"
            )
        return find_field(grid, prediction, name=name)
    if not isinstance(truth, str):
        wanted = "a prediction" if other is None else "the name of a field of both meshes"
        raise ValueError(f"expected {wanted} (got the values of the truth alone)")
    if other is None:
        return find_field(grid, predicted_name(truth))
    known = field_names(other)
    found = predicted_name(truth) if predicted_name(truth) in known else truth
    try:
        field = find_field(other, found)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    _check_same_places(grid, other, name)
    return field


def _check_same_places(grid: Any, other: Any, name: str) -> None:
    """Refuse a mesh with other nodes, whose differences would be between different places."""
    if grid.n_points != other.n_points:
        raise ValueError(
            f"{name}: expected the {grid.n_points:,} nodes of the true mesh (got "
            f"{other.n_points:,}); give a field on the same mesh"
        )
    apart = np.linalg.norm(np.asarray(other.points) - np.asarray(grid.points), axis=1)
    limit = _SAME_PLACE * grid.length
    if apart.max() > limit:
        raise ValueError(
            f"{name}: expected the nodes of the true mesh in the same order (got a node that is "
            f"{apart.max():.3g} away from its place); give a field on the same undeformed mesh"
        )


def _is_file_name(prediction: Any) -> bool:
    known = (*READABLE_SUFFIXES, ".pvd")
    return isinstance(prediction, str) and Path(prediction).suffix.lower() in known


def _is_mesh(prediction: Any) -> bool:
    """Whether this is another mesh rather than a field: a name or values."""
    if prediction is None or isinstance(prediction, Path):
        return prediction is not None
    if isinstance(prediction, str):
        return Path(prediction).is_file()
    return not isinstance(prediction, (Tensor, np.ndarray, list))


def _warps(
    other: Any, truth: Any, true: FieldValues, predicted: FieldValues, options: PlotOptions
) -> list[Any]:
    """Displacement of each view."""
    warp = options.warp
    if isinstance(warp, tuple):
        if len(warp) != 2:
            raise ValueError(f"warp: expected one displacement or two (got {len(warp)})")
        return [warp[0], warp[1], warp[0]]
    if isinstance(warp, str) and warp == truth:
        return [true, predicted, true]
    if isinstance(warp, str) and other is not None and warp in field_names(other):
        return [warp, find_field(other, warp), warp]
    return [warp, warp, warp]


def relative_norm(true: NDArray[np.floating], predicted: NDArray[np.floating]) -> str:
    """Relative L2 error for a headline, over the rows [N, C] that have all values."""
    usable = np.isfinite(true).all(axis=1) & np.isfinite(predicted).all(axis=1)
    norm = np.linalg.norm(true[usable])
    error = np.linalg.norm(predicted[usable] - true[usable])
    return f" (relative L2 {error / norm:.3g})" if norm > 0 else ""
