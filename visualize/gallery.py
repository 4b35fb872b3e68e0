"""Many distorted parts side by side, on one colour scale."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from flare_mesh.mesh import MeshData
from flare_mesh.visualize.camera import view_vectors
from flare_mesh.visualize.colours import choose_colours
from flare_mesh.visualize.dataset import to_grid
from flare_mesh.visualize.field_values import FieldValues
from flare_mesh.visualize.field_view import deformation_caption
from flare_mesh.visualize.offscreen import check_displacement, offscreen_plotter
from flare_mesh.visualize.panel import Panel, draw_bar, draw_panel
from flare_mesh.visualize.plot_options import PlotOptions
from flare_mesh.visualize.shape import Shape, add_nominal, build_shape

# The upper quantile of the displacements is drawn at this share of the parts' mean size.
_VISIBLE = 0.13
# Share of the nodes beyond each end of the colour scale, and beyond that displacement.
_BEYOND = 0.003
# Height of the colour scale below the parts, as a share of a part's picture, and of its texts.
_BAR, _TEXT = 0.24, 0.15


def plot_gallery(
    parts: Mapping[str, tuple[MeshData, Tensor]],
    *,
    path: str | Path,
    columns: int = 4,
    exaggeration: float | None = None,
    title: str = "",
    panel: int = 560,
) -> float:
    """Plot deformed parts coloured by their z displacement, with the edges of the undeformed ones.

    All parts share the colour scale, the exaggeration, the view direction and the scale of length.
    The name of a part and the range of its z displacement are written above it.

    Args:
        parts: Mesh, mm, and displacement [N, 3], mm, by the name of the part.
        path: Picture to write.
        columns: Parts per row.
        exaggeration: Scale factor of the displacement; None makes the largest one visible.
        title: Text at the colour scale.
        panel: Width of a part's picture, pixels.

    Returns:
        The exaggeration used.

    Raises:
        ValueError: If there are no parts, or a displacement does not have the shape [N, 3].
    """
    if not parts:
        raise ValueError(f"{path}: expected at least one part (got none)")
    for name, (mesh, displacement) in parts.items():
        check_displacement(name, mesh, displacement)
    fields = {name: u.numpy(force=True) for name, (_, u) in parts.items()}
    if exaggeration is None:
        sizes = [np.ptp(mesh.pos.numpy(force=True), axis=0).max() for mesh, _ in parts.values()]
        lengths = _finite([np.linalg.norm(u, axis=1) for u in fields.values()])
        largest = float(np.quantile(lengths, 1 - _BEYOND))
        exaggeration = float(f"{_VISIBLE * float(np.mean(sizes)) / (largest or 1.0):.1g}")
    lift = _finite([u[:, 2] for u in fields.values()])
    colours = choose_colours([np.quantile(lift, [_BEYOND, 1 - _BEYOND])])
    shapes, shown = {}, {}
    for name, (mesh, _) in parts.items():
        shown[name] = FieldValues("z displacement", fields[name][:, 2:], unit="mm")
        options = PlotOptions(warp=fields[name], factor=exaggeration)
        grid = to_grid(mesh)
        shapes[name] = build_shape(grid, shown[name], options)
        add_nominal(shapes[name], grid)
    _share_scale([*shapes.values()])

    rows = -(-len(parts) // columns)
    layout = {
        "shape": (rows + 1, columns),
        "row_weights": [1.0] * rows + [_BAR],
        "groups": [(rows, slice(None))],
        "window_size": [panel * columns, int(panel * (rows + _BAR))],
    }
    options = PlotOptions(factor=exaggeration)
    with offscreen_plotter(path, **layout) as plotter:
        actor: Any = None
        for number, (name, shape) in enumerate(shapes.items()):
            plotter.subplot(*divmod(number, columns))
            lift = _finite([shown[name].values])
            low, high = lift.min(), lift.max()
            span = f"{low:+.2f} to {high:+.2f} mm"
            part = Panel(shape, shown[name], colours, (name,), (span,), bar=False)
            actor = draw_panel(plotter, part, options)
        plotter.subplot(rows, 0)
        texts = [title, "z displacement [mm]", *deformation_caption(options)]
        draw_bar(plotter, actor, colours, "   ".join(filter(None, texts)), 1.0, _TEXT)
    return exaggeration


def _finite(values: list[NDArray[np.floating]]) -> NDArray[np.floating]:
    """All finite values; zero without any."""
    found = np.concatenate([one.ravel() for one in values])
    found = found[np.isfinite(found)]
    return found if found.size else np.zeros(1)


def _share_scale(shapes: list[Shape]) -> None:
    """Give all shapes corners that are seen in one size, so that the views have one scale."""
    towards, up = view_vectors(None, None)
    axes = np.stack([np.cross(up, towards), up, towards])
    seen = [shape.corners @ axes.T for shape in shapes]
    sizes = np.max([np.ptp(corners, axis=0) for corners in seen], axis=0)
    signs = np.array(np.meshgrid(*[(-0.5, 0.5)] * 3)).reshape(3, -1).T
    for shape, corners in zip(shapes, seen, strict=True):
        middle = (corners.min(axis=0) + corners.max(axis=0)) / 2
        shape.corners, shape.flat = (middle + signs * sizes) @ axes, None
