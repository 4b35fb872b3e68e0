"""The geometry of a picture of a field: what is cut, deformed and coloured."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_mesh.visualize.arrows import ARROWS, arrow_glyphs, streamlines
from flare_mesh.visualize.camera import enclosing_points, flat_axis, view_vectors
from flare_mesh.visualize.cut import SHOWN, clip, contour, slice_mesh, threshold
from flare_mesh.visualize.dataset import cell_dimension
from flare_mesh.visualize.deformation import (
    WARP,
    arrow_vectors,
    deform,
    deformed_points,
    warp_vectors,
)
from flare_mesh.visualize.field_values import FieldValues, at_nodes
from flare_mesh.visualize.plot_options import PlotOptions
from flare_mesh.visualize.reduce import reduce_cloud, reduce_surface

_FEATURE_ANGLE = 30


@dataclass
class Shape:
    """What is drawn of a mesh.

    Attributes:
        body: Coloured surface, lines or points.
        is_cloud: Whether the body is points alone.
        is_lit: Whether the body is shaded; plane meshes and slices are not.
        is_contour: Whether the body is surfaces of equal value.
        is_faded: Whether the body is translucent and without colours, behind arrows and the like.
        outline: Sharp edges of the whole mesh, uncut, where there are any.
        nominal: Sharp edges of the undeformed mesh, where they are wanted.
        overlay: Coloured arrows or tubes.
        ink: Lines or arrows without colours, over the body.
        flat: Axis along which the mesh has no extent; None in space.
        corners: Points that enclose all of it, [K, 3].
        notes: Remarks for the caption.
    """

    body: Any
    is_cloud: bool = False
    is_lit: bool = True
    is_contour: bool = False
    is_faded: bool = False
    outline: Any = None
    nominal: Any = None
    overlay: Any = None
    ink: Any = None
    flat: int | None = None
    corners: NDArray[np.floating] = field(default_factory=lambda: np.zeros((0, 3)))
    notes: list[str] = field(default_factory=list)


def build_shape(
    grid: Any, values: FieldValues | None, options: PlotOptions, *, vectors: float | None = None
) -> Shape:
    """Cut, deform and reduce a mesh for a picture.

    Args:
        grid: Result of :func:`~flare_mesh.visualize.dataset.to_grid`.
        values: The field in colours, of one component; None for the mesh alone.
        options: What to show.
        vectors: Largest norm of the vectors of arrows; None for that of this mesh.

    Raises:
        ValueError: If an option does not fit the mesh, or leaves nothing of it.
    """
    notes: list[str] = []
    lean = _lean(grid, values, options, notes)
    bounds, diagonal, dimension = lean.bounds, lean.length, cell_dimension(lean)
    _check_cells(options, dimension)
    flat = flat_axis(lean.points)
    towards, _ = view_vectors(options.view, flat)
    cut = lean if options.threshold is None else threshold(lean, options.threshold)
    if options.clip is not None:
        cut = clip(cut, options.clip, bounds, towards)
    shape = Shape(cut, notes=notes)
    if options.slice is not None:
        shape.body, shape.is_lit = slice_mesh(cut, options.slice, bounds), dimension < 3
    _add_contours(shape, options)
    _add_arrows(shape, cut, options, flat, diagonal, vectors)

    shape.is_cloud = cell_dimension(shape.body) == 0
    if shape.is_cloud:
        shape.body = reduce_cloud(shape.body, options.max_faces, notes)
    else:
        cuts = (options.threshold, options.clip, options.slice)
        is_cut = shape.is_contour or any(one is not None for one in cuts)
        surface = _surface(shape.body)
        shape.outline = _outline(lean if is_cut else surface, dimension, options.max_faces)
        shape.body = reduce_surface(surface, options.max_faces, notes)
    factor = options.factor or 0.0
    parts = ("body", "outline", "overlay", "ink")
    for name in parts:
        setattr(shape, name, deform(getattr(shape, name), factor))
    drawn = [getattr(shape, name) for name in parts]
    present = [part for part in drawn if part is not None and part.n_points]
    shape.corners = np.concatenate([enclosing_points(part.points) for part in present])
    shape.flat = flat_axis(deformed_points(lean, factor))
    shape.is_lit = shape.is_lit and shape.flat is None
    return shape


def add_nominal(shape: Shape, grid: Any) -> None:
    """Add the sharp edges of the undeformed mesh to the shape of a deformed one."""
    edges = _outline(grid, cell_dimension(grid), PlotOptions().max_faces)
    if edges is not None:
        edges.clear_data()
        shape.nominal = edges
        shape.corners = np.concatenate([shape.corners, enclosing_points(edges.points)])


def _check_cells(options: PlotOptions, dimension: int) -> None:
    for name in ("slice", "contours", "streamlines"):
        if dimension == 0 and getattr(options, name) is not None:
            raise ValueError(f"{name}: expected a mesh with cells (got points alone)")


def common_corners(shapes: Sequence[Shape]) -> tuple[NDArray[np.floating], int | None]:
    """Corners of all shapes together, and the axis along which none has an extent."""
    flat = {shape.flat for shape in shapes}
    corners = np.concatenate([shape.corners for shape in shapes])
    return corners, flat.pop() if len(flat) == 1 else None


def _lean(grid: Any, values: FieldValues | None, options: PlotOptions, notes: list[str]) -> Any:
    """The mesh with only the arrays that the picture needs."""
    lean = grid.copy(deep=False)
    lean.clear_data()
    if values is not None:
        at_points = (options.contours, options.glyphs, options.streamlines)
        if values.on_cells and any(one is not None for one in at_points):
            values = at_nodes(grid, values)
            notes.append("cell values averaged at the nodes")
        data = lean.cell_data if values.on_cells else lean.point_data
        # VTK paints NaN as missing, but infinite values as the ends of the range.
        data[SHOWN] = np.where(np.isfinite(values.values[:, 0]), values.values[:, 0], np.nan)
    vectors = {
        WARP: warp_vectors(grid, options, notes),
        ARROWS: arrow_vectors(grid, options, notes),
    }
    for name, found in vectors.items():
        if found is not None:
            lean.point_data[name] = found
    if lean.n_cells == 0:
        lean = _cloud(lean)
    return lean


def _cloud(points: Any) -> Any:
    """Points without cells, each as a vertex."""
    import pyvista

    cloud = pyvista.PolyData(np.asarray(points.points))
    for name, array in points.point_data.items():
        cloud.point_data[name] = array
    return cloud


def _add_contours(shape: Shape, options: PlotOptions) -> None:
    if options.contours is None:
        return
    found, levels = contour(shape.body, options.contours)
    if cell_dimension(found) == 1:
        shape.ink = found
    else:
        shape.body, shape.is_contour = found, True
    if len(levels) <= 6:
        shape.notes.append(f"contours at {', '.join(f'{level:.4g}' for level in levels)}")


def _add_arrows(
    shape: Shape,
    cut: Any,
    options: PlotOptions,
    flat: int | None,
    diagonal: float,
    largest: float | None,
) -> None:
    if options.glyphs is None and options.streamlines is None:
        return
    over = flat is not None or options.slice is not None
    if options.streamlines is not None:
        drawn = streamlines(cut, flat=flat, diagonal=diagonal)
    else:
        if largest is None:
            largest = float(np.linalg.norm(cut.point_data[ARROWS], axis=1).max(initial=0.0))
        points = shape.body if over else cut
        drawn = arrow_glyphs(points, diagonal=diagonal, largest=largest, flat=over)
    if over:
        shape.ink = drawn
    else:
        shape.overlay, shape.is_faded = drawn, True


def _surface(mesh: Any) -> Any:
    """The outer faces of solids, and all faces, lines and vertices of others."""
    import pyvista

    if isinstance(mesh, pyvista.PolyData):
        return mesh
    from vtkmodules.vtkFiltersGeometry import vtkDataSetSurfaceFilter

    outside = vtkDataSetSurfaceFilter()
    outside.SetInputData(mesh)
    outside.Update()
    return pyvista.wrap(outside.GetOutput())


def _outline(mesh: Any, dimension: int, limit: int) -> Any:
    """Sharp edges of a solid or a surface; None without any, or of too many faces."""
    surface = _surface(mesh) if dimension > 1 else mesh
    if dimension < 2 or surface.n_cells > limit:
        return None
    edges = surface.extract_feature_edges(
        _FEATURE_ANGLE, non_manifold_edges=False, clear_data=False
    )
    return edges if edges.n_cells else None
