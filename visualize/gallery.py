"""Many distorted parts side by side, on one colour scale."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from flare_mesh.mesh import MeshData
from flare_mesh.visualize.offscreen import check_displacement, offscreen_plotter

# The upper quantile of the displacements is drawn at this share of the parts' mean size.
_VISIBLE = 0.13
# Share of the nodes beyond each end of the colour scale, and beyond that displacement.
_BEYOND = 0.003
_DIRECTION = np.array([0.6, -1.0, 0.6])
_INK = "#1f2933"
_EDGES = {"show_edges": True, "edge_opacity": 0.18}
_LOOK = {"cmap": "turbo", "ambient": 0.35, "diffuse": 0.75, **_EDGES}
_BAR_PLACE = {"position_x": 0.25, "position_y": 0.12, "width": 0.5, "height": 0.5}
_BAR = {"fmt": "%+.2f", "n_labels": 7, "label_font_size": 28, "color": _INK, **_BAR_PLACE}


def plot_gallery(
    parts: Mapping[str, tuple[MeshData, Tensor]],
    *,
    path: str | Path,
    columns: int = 4,
    exaggeration: float | None = None,
    title: str = "",
    panel: int = 560,
) -> float:
    """Plot deformed parts coloured by their z displacement.

    All parts share the colour scale, the exaggeration, the view direction and the scale of length.
    The name of a part and the range of its z displacement are written above it.

    Args:
        parts: Mesh, mm, and displacement [N, 3], mm, by the name of the part.
        path: PNG file to write.
        columns: Parts per row.
        exaggeration: Scale factor of the displacement; None makes the largest one visible.
        title: Text above the colour scale.
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
    sizes = np.array([np.ptp(m.pos.numpy(force=True), axis=0) for m, _ in parts.values()])
    lift = np.concatenate([u[:, 2].numpy(force=True) for _, u in parts.values()])
    limits = np.quantile(lift, [_BEYOND, 1 - _BEYOND])
    if exaggeration is None:
        lengths = np.concatenate([u.norm(dim=1).numpy(force=True) for _, u in parts.values()])
        largest = float(np.quantile(lengths, 1 - _BEYOND))
        exaggeration = _VISIBLE * float(sizes.max(axis=1).mean()) / (largest or 1.0)
        exaggeration = float(f"{exaggeration:.1g}")

    rows = -(-len(parts) // columns)
    bar = 0.24
    layout = {
        "shape": (rows + 1, columns),
        "row_weights": [1.0] * rows + [bar],
        "groups": [(rows, slice(None))],
        "window_size": [panel * columns, int(panel * (rows + bar))],
        "lighting": "three lights",
    }
    with offscreen_plotter(path, **layout) as plotter:
        actor: Any = None
        for number, (name, (mesh, displacement)) in enumerate(parts.items()):
            plotter.subplot(*divmod(number, columns))
            grid, u = mesh.to_pyvista(), displacement.numpy(force=True)
            nominal = grid.extract_feature_edges(40)
            center = np.array(grid.center)
            grid.points = mesh.pos.numpy(force=True) + exaggeration * u
            grid.point_data["displacement_z"] = u[:, 2]
            actor = plotter.add_mesh(
                grid, scalars="displacement_z", clim=limits, show_scalar_bar=False, **_LOOK
            )
            plotter.add_mesh(nominal, color=_INK, line_width=1.5, opacity=0.22)
            span = f"{u[:, 2].min():+.2f} to {u[:, 2].max():+.2f} mm"
            for text, height, size in ((name, 0.925, 15), (span, 0.875, 12)):
                plotter.add_text(
                    text, position=(0.05, height), viewport=True, font_size=size, color=_INK
                )
            plotter.camera.parallel_projection = True
            plotter.camera.up = (0, 0, 1)
            plotter.camera.focal_point = center + np.array([0, 0, 0.075]) * sizes.max()
            plotter.camera.position = plotter.camera.focal_point + 4 * sizes.max() * _DIRECTION
            plotter.camera.parallel_scale = 0.755 * sizes.max()
        plotter.subplot(rows, 0)
        caption = f"{title}   z displacement [mm], deformation x {exaggeration:g}".strip()
        plotter.add_text(caption, position=(0.25, 0.72), viewport=True, font_size=15, color=_INK)
        plotter.add_scalar_bar(title="", mapper=actor.mapper, vertical=False, **_BAR)
    return exaggeration
