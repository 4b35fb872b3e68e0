"""Simulated and predicted distortion of a part, and the error, side by side."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from flare_mesh.mesh import MeshData
from flare_mesh.visualize.colours import Colours, choose_colours
from flare_mesh.visualize.comparison import relative_norm
from flare_mesh.visualize.dataset import to_grid
from flare_mesh.visualize.deformation import visible_factor
from flare_mesh.visualize.field_values import FieldValues
from flare_mesh.visualize.field_view import deformation_caption
from flare_mesh.visualize.offscreen import check_displacement, offscreen_plotter
from flare_mesh.visualize.panel import Panel, draw_panel
from flare_mesh.visualize.plot_options import PlotOptions
from flare_mesh.visualize.shape import add_nominal, build_shape, common_corners

_SIZE = 640  # of a view, pixels


def plot_distortion(
    mesh: MeshData,
    predicted: Tensor,
    simulated: Tensor | None = None,
    *,
    path: str | Path,
    exaggeration: float | None = None,
    title: str = "",
    band: Tensor | None = None,
    note: str = "",
) -> float:
    """Plot the deformed part coloured by the magnitude of the displacement.

    Thin lines are the sharp edges of the undeformed part.

    With a simulated displacement there are three views: simulated, predicted, and the magnitude of
    their difference on the simulated shape. The first two share the colour scale and the
    exaggeration. With a band there is one more view of the predicted shape, coloured by the
    half-width of the band on the colour scale of the error.

    Args:
        mesh: Points and cells, mm.
        predicted: Displacement [N, 3], mm.
        simulated: Displacement [N, 3], mm, if known.
        path: Picture to write.
        exaggeration: Scale factor of the displacement; None makes the largest one visible.
        title: Name of the part.
        band: Half-width of the band of the prediction, [N, 1], mm, if known.
        note: Warning below the title, such as "unlike the training cases".

    Returns:
        The exaggeration used.

    Raises:
        ValueError: If a displacement does not have the shape [N, 3], or the band [N, 1].
    """
    if band is not None and tuple(band.shape) != (mesh.num_nodes, 1):
        raise ValueError(
            f"expected the band of shape [{mesh.num_nodes}, 1] (got {list(band.shape)})"
        )
    for name, field in (("predicted", predicted), ("simulated", simulated)):
        if field is not None:
            check_displacement(name, mesh, field)
    views = _views(predicted.numpy(force=True), _array(simulated), _array(band))
    grid = to_grid(mesh)
    chosen = [PlotOptions(warp=view.displacement, factor=exaggeration) for view in views]
    if exaggeration is None:
        exaggeration = visible_factor(grid, views[0].displacement)
        chosen = [replace(one, factor=exaggeration) for one in chosen]
    shapes = [build_shape(grid, view.values, one) for view, one in zip(views, chosen, strict=True)]
    for shape in shapes:
        add_nominal(shape, grid)
    corners, flat = common_corners(shapes)
    size = [_SIZE * len(views), _SIZE]
    with offscreen_plotter(path, shape=(1, len(views)), window_size=size) as plotter:
        for column, (view, shape) in enumerate(zip(views, shapes, strict=True)):
            plotter.subplot(0, column)
            shape.corners, shape.flat = corners, flat
            first = column == 0
            headings = (title if first or not title else " ", view.name)
            caption = deformation_caption(chosen[0]) if first else (" ",)
            warning = note if first or not note else " "
            panel = Panel(shape, view.values, view.colours, headings, caption, warning)
            draw_panel(plotter, panel, chosen[column])
        plotter.link_views([*range(len(views))])
    return exaggeration


@dataclass(frozen=True)
class _View:
    """Name, shape [N, 3], values and colours of a view."""

    name: str
    displacement: NDArray[np.floating]
    values: FieldValues
    colours: Colours


def _array(field: Tensor | None) -> NDArray[np.floating] | None:
    return None if field is None else field.numpy(force=True)


def _views(
    predicted: NDArray[np.floating],
    simulated: NDArray[np.floating] | None,
    band: NDArray[np.floating] | None,
) -> list[_View]:
    def norm(name: str, values: NDArray[np.floating]) -> FieldValues:
        return FieldValues(name, np.linalg.norm(values, axis=1, keepdims=True), unit="mm")

    zero = np.zeros(1)
    shapes = [("predicted", predicted)]
    if simulated is not None:
        shapes.insert(0, ("simulated", simulated))
    lengths = [norm("displacement", shape) for _, shape in shapes]
    colours = choose_colours([zero, *(one.values for one in lengths)])
    views = [
        _View(name, shape, one, colours) for (name, shape), one in zip(shapes, lengths, strict=True)
    ]
    errors = []
    if simulated is not None:
        name = f"error{relative_norm(simulated, predicted)}"
        errors.append((name, simulated, norm("error", predicted - simulated)))
    if band is not None:
        errors.append(("band of the error", predicted, FieldValues("half-width", band, unit="mm")))
    colours = choose_colours([zero, *(one.values for _, _, one in errors)], error=True)
    views += [_View(name, shape, one, colours) for name, shape, one in errors]
    return views
