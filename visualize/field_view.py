"""Picture of a field on a mesh."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flare_mesh.visualize.colours import choose_colours
from flare_mesh.visualize.dataset import to_grid
from flare_mesh.visualize.deformation import with_factor
from flare_mesh.visualize.field_values import find_field
from flare_mesh.visualize.panel import Panel, draw_panel
from flare_mesh.visualize.picture import check_picture_path, finish_view, new_plotter
from flare_mesh.visualize.plot_options import PlotOptions
from flare_mesh.visualize.shape import build_shape


def plot_field(
    mesh: Any,
    field: Any = None,
    *,
    path: str | Path | None = None,
    plotter: Any = None,
    title: str = "",
    size: tuple[int, int] = (1000, 800),
    component: int | str | None = None,
    step: int | None = None,
    warp: Any = None,
    factor: float | None = None,
    slice: Any = None,
    clip: Any = None,
    threshold: float | tuple[float | None, float | None] | None = None,
    contours: int | Sequence[float] | None = None,
    glyphs: Any = None,
    streamlines: Any = None,
    edges: bool | None = None,
    view: str | Sequence[float] | None = None,
    clim: tuple[float, float] | None = None,
    cmap: str | None = None,
    label: str | None = None,
    max_faces: int = 1_000_000,
) -> Any:
    """Plot a field on a mesh in colours::

        plot_field("part.vtu", "von_mises", warp="displacement", path="part.png")
        plot_field(mesh, "temperature", slice="z=10").show()

    Plane meshes are seen from above, others in perspective-free projection. A vector field is shown
    by its norm. Values that are NaN or infinite are pink, and counted in the caption.

    Args:
        mesh: A :class:`MeshData` or other PyG data, the path of a mesh file, a PyVista mesh, a
            :class:`~flare_mesh.prediction.Prediction`, or an ``lpbf.Result``.
        field: Name of a node field or a cell field, or values at the nodes or in the cells; None
            for the mesh alone.
        path: Picture to write: ``.png``, or ``.svg``, ``.pdf``, ``.eps`` with sharp texts; None to
            return the plotter instead.
        plotter: A ``pyvista.Plotter`` to draw in its current view; None for a new one.
        title: Headline.
        size: Width and height of a new plotter, pixels.
        component: Number or name (``"z"``, ``"xy"``) of the component of a vector or tensor.
        step: Time step of a file, prediction or result that has several.
        warp: Displacement by which the shape is deformed: name of a field, or values.
        factor: Scale factor of the displacement; None makes it visible.
        slice: Cut by planes: ``"z=10"``, ``"x+2y=10"``, ``"z"`` for the centre, a normal and a
            point, or a list.
        clip: Remove one side of planes: ``"x<5"`` keeps the side below 5, and ``"x=5"`` the side
            away from the viewer. Planes cut the undeformed mesh.
        threshold: Show the cells with values from this number, or between two.
        contours: Surfaces of equal value, or lines on surfaces: their number, or their values.
        glyphs: Vector field to show by arrows.
        streamlines: Vector field to show by streamlines.
        edges: Whether to draw the edges of the cells; None for meshes that are not too fine.
        view: ``"iso"``, ``"xy"``, ``"xz"``, ``"yz"``, ``"yx"``, ``"zx"``, ``"zy"``, or the vector
            towards the viewer.
        clim: Range of the colours; None for the range of the values.
        cmap: Colour map; None for one that suits the values.
        label: Title of the colour bar; None for the name and unit of the field.
        max_faces: Faces above which a surface is reduced for view.

    Returns:
        The plotter, to go on with or to ``show()``; None if a new one was written to ``path``.

    Raises:
        FileNotFoundError: If a file does not exist.
        ImportError: If pictures cannot be drawn here.
        ValueError: If there is no such field, an option does not fit it, or nothing is left to
            show.
    """
    options = PlotOptions(
        component=component,
        step=step,
        warp=warp,
        factor=factor,
        slice=slice,
        clip=clip,
        threshold=threshold,
        contours=contours,
        glyphs=glyphs,
        streamlines=streamlines,
        edges=edges,
        view=view,
        clim=clim,
        cmap=cmap,
        label=label,
        max_faces=max_faces,
    )
    check_picture_path(path)
    grid = to_grid(mesh, step)
    values = None if field is None else find_field(grid, field).scalar(component)
    options = with_factor(grid, options)
    shape = build_shape(grid, values, options)
    shown = [] if values is None else [values.values]
    colours = choose_colours(shown, limits=clim, cmap=cmap)
    caption = deformation_caption(options)
    own = plotter is None
    if own:
        plotter = new_plotter(path, window_size=list(size))
    draw_panel(plotter, Panel(shape, values, colours, (title,), caption), options)
    return finish_view(plotter, path, own)


def deformation_caption(options: PlotOptions) -> tuple[str, ...]:
    """Line of the caption about the scale factor of the deformation."""
    return () if options.factor is None else (f"deformation x {options.factor:g}",)
