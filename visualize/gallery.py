"""Many distorted parts side by side, on one colour scale."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from flare_mesh.files import atomic_path
from flare_mesh.mesh import MeshData

# What most displacements stay below is drawn at this share of the parts' mean size.
_VISIBLE = 0.13
# Share of the nodes beyond each end of the colour scale, and beyond that displacement.
_BEYOND = 0.003
_DIRECTION = np.array([0.6, -1.0, 0.6])
_INK = "#1f2933"


def plot_gallery(
    parts: Mapping[str, tuple[MeshData, Tensor]],
    *,
    path: str | Path,
    columns: int = 4,
    exaggeration: float | None = None,
    title: str = "",
    panel: int = 560,
) -> float:
    """Draws parts deformed and coloured by their z displacement, off screen.

    All parts share one colour scale, one exaggeration, one direction of view and one scale of
    length. A part's name and the range of its z displacement stand above it.

    Args:
        parts: Mesh, mm, and displacement [N, 3], mm, by the part's name.
        path: PNG to write.
        columns: Parts in a row.
        exaggeration: Factor on the displacement; None makes the largest one visible.
        title: A line above the colour scale.
        panel: Width of a part's picture, pixels.

    Returns:
        The exaggeration used.

    Raises:
        ValueError: If there are no parts, or a displacement does not have the shape [N, 3].
    """
    if not parts:
        raise ValueError(f"{path}: expected at least one part (got none)")
    for name, (mesh, displacement) in parts.items():
        if tuple(displacement.shape) != (mesh.num_nodes, 3):
            raise ValueError(
                f"expected the displacement of '{name}' of shape [{mesh.num_nodes}, 3] "
                f"(got {list(displacement.shape)})"
            )
    if sys.platform == "linux" and not os.environ.get("DISPLAY"):
        # Else VTK first looks for an X server, in vain and aloud.
        os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")
    import pyvista

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
    panels: dict[str, Any] = {
        "shape": (rows + 1, columns),
        "row_weights": [1.0] * rows + [bar],
        "groups": [(rows, slice(None))],
    }
    plotter: Any = pyvista.Plotter(
        off_screen=True,
        **panels,
        window_size=[panel * columns, int(panel * (rows + bar))],
        border=False,
        lighting="three lights",
    )
    actor: Any = None
    for number, (name, (mesh, displacement)) in enumerate(parts.items()):
        plotter.subplot(*divmod(number, columns))
        grid, u = mesh.to_pyvista(), displacement.numpy(force=True)
        nominal = grid.extract_feature_edges(40)
        center = np.array(grid.center)
        grid.points = mesh.pos.numpy(force=True) + exaggeration * u
        grid.point_data["displacement_z"] = u[:, 2]
        actor = plotter.add_mesh(
            grid,
            scalars="displacement_z",
            clim=limits,
            cmap="turbo",
            show_edges=True,
            edge_opacity=0.18,
            ambient=0.35,
            diffuse=0.75,
            show_scalar_bar=False,
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
    plotter.add_scalar_bar(
        title="",
        mapper=actor.mapper,
        vertical=False,
        position_x=0.25,
        position_y=0.12,
        width=0.5,
        height=0.5,
        fmt="%+.2f",
        n_labels=7,
        label_font_size=28,
        color=_INK,
    )
    plotter.set_background("white", all_renderers=True)
    with atomic_path(path) as temporary:
        plotter.screenshot(temporary)
    plotter.close()
    return exaggeration
