"""Simulated and predicted distortion of a part, and the error, side by side."""

from pathlib import Path

from torch import Tensor

from flare_mesh.mesh import MeshData
from flare_mesh.visualize.offscreen import check_displacement, offscreen_plotter

# The largest displacement is drawn at this share of the part's diagonal.
_VISIBLE = 0.05
_BAR_PLACE = {"position_x": 0.15, "position_y": 0.02, "width": 0.7, "height": 0.09}
_FONTS = {"title_font_size": 18, "label_font_size": 15, "color": "black"}
_BAR = {"vertical": False, "fmt": "%.3f", "n_labels": 4, **_BAR_PLACE, **_FONTS}


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

    With a simulated displacement there are three views: simulated, predicted, and the magnitude of
    their difference on the simulated shape. The first two share the colour scale and the
    exaggeration. With a band there is one more view of the predicted shape, coloured by the
    half-width of the band on the colour scale of the error.

    Args:
        mesh: Points and cells, mm.
        predicted: Displacement [N, 3], mm.
        simulated: Displacement [N, 3], mm, if known.
        path: PNG file to write.
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
    shown = predicted if simulated is None else simulated
    if exaggeration is None:
        diagonal = float((mesh.pos.amax(0) - mesh.pos.amin(0)).norm())
        largest = float(shown.norm(dim=1).max())
        exaggeration = _VISIBLE * diagonal / largest if largest > 0 else 1.0
    top = max(float(field.norm(dim=1).max()) for field in (predicted, shown))
    panels = [("predicted", predicted, predicted, "displacement [mm]", top)]
    if simulated is not None:
        error = predicted - simulated
        name = f"error (relative L2 {float(error.norm() / simulated.norm()):.3f})"
        panels.insert(0, ("simulated", simulated, simulated, "displacement [mm]", top))
        panels.append((name, simulated, error, "error [mm]", float(error.norm(dim=1).max())))
    if band is not None:
        limit = max(float(band.max()), panels[-1][4] if simulated is not None else 0.0)
        panels.append(("band of the error", predicted, band, "half-width [mm]", limit))
        if simulated is not None:
            panels[-2] = (*panels[-2][:4], limit)

    grid = mesh.to_pyvista()
    outline = grid.extract_feature_edges(30)
    size = [640 * len(panels), 640]
    with offscreen_plotter(path, shape=(1, len(panels)), window_size=size) as plotter:
        for column, (name, shape, colour, label, limit) in enumerate(panels):
            plotter.subplot(0, column)
            deformed = grid.copy()
            deformed.points = (mesh.pos + exaggeration * shape).numpy(force=True)
            plotter.add_mesh(
                deformed,
                scalars=colour.norm(dim=1).numpy(force=True),
                clim=(0.0, limit),
                cmap="inferno" if "error" in name else "viridis",
                show_edges=True,
                edge_opacity=0.15,
                ambient=0.25,
                # PyVista merges bars of one title.
                scalar_bar_args={"title": f"{label}{' ' * column}\n", **_BAR},
            )
            plotter.add_mesh(outline, color="black", line_width=1, opacity=0.35)
            plotter.add_text(name, font_size=13, color="black")
            if column == 0:
                caption = f"{title}  deformation x {exaggeration:.0f}".strip()
                plotter.add_text(caption, position=(10, 575), font_size=9, color="black")
                if note:
                    plotter.add_text(note, position=(10, 545), font_size=11, color="red")
        plotter.link_views()
        plotter.view_isometric()
        # Room for the colour bars below the part.
        x, y, z = plotter.camera.focal_point
        plotter.camera.focal_point = (x, y, z - 0.07 * grid.length)
        plotter.camera.zoom(0.85)
    return exaggeration
