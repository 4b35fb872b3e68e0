"""Arrows and streamlines of a vector field."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_mesh.visualize.dataset import cell_dimension

ARROWS = "arrows"
"""Name of the vectors at the nodes."""

_NUM_ARROWS, _NUM_SEEDS = 500, 100
# Length of the longest arrow over the distance between arrows, in space and on planes.
_LENGTH, _FLAT_LENGTH = 1.6, 1.1
# Distance of streamlines in a plane as a share of the diagonal.
_DISTANCE = 0.025
# With adaptive or longer steps VTK's lines soon leave a curved surface of coarse faces.
_ON_SURFACE = {
    "surface_streamlines": True,
    "integrator_type": 4,
    "initial_step_length": 0.1,
    "max_steps": 20_000,
}
# A streamline starts where the vector has this share of the largest norm.
_MOVING = 0.1


def arrow_glyphs(points: Any, *, diagonal: float, largest: float, flat: bool) -> Any:
    """Arrows at some evenly spread points, as long as their vectors in proportion.

    Args:
        points: Data set with the vectors :data:`ARROWS` at its points.
        diagonal: Of the whole mesh.
        largest: Largest norm of a vector in all pictures that belong together.
        flat: Whether the points are on planes.
    """
    import pyvista

    chosen, distance = spread(np.asarray(points.points), _NUM_ARROWS)
    cloud = pyvista.PolyData(np.asarray(points.points)[chosen])
    for name, values in points.point_data.items():
        cloud.point_data[name] = np.asarray(values)[chosen]
    if distance == 0:
        distance = diagonal or 1.0
    length = _FLAT_LENGTH if flat else _LENGTH
    factor = length * distance / largest if largest > 0 else 0.0
    shape = pyvista.Arrow(tip_length=0.35, tip_radius=0.13, shaft_radius=0.045)
    return cloud.glyph(orient=ARROWS, scale=ARROWS, factor=factor, geom=shape)


def streamlines(grid: Any, *, flat: int | None, diagonal: float) -> Any:
    """Streamlines through evenly spread points of a mesh, in space as tubes.

    On a plane mesh or a surface the lines follow the tangential part of the vectors.

    Args:
        grid: Mesh with the vectors :data:`ARROWS` at its nodes.
        flat: Axis along which the mesh has no extent; None in space.
        diagonal: Of the mesh.

    Raises:
        ValueError: If the vectors lead nowhere.
    """
    import pyvista

    on_surface = cell_dimension(grid) == 2
    if on_surface:
        grid = _tangential(grid, flat)
    points = np.asarray(grid.points)
    if flat == 2:
        lines = grid.streamlines_evenly_spaced_2D(
            vectors=ARROWS,
            start_position=tuple(_start(points, np.asarray(grid.point_data[ARROWS]))),
            separating_distance=_DISTANCE * diagonal,
            step_unit="l",
            step_length=0.2 * _DISTANCE * diagonal,
            closed_loop_maximum_distance=0.05 * _DISTANCE * diagonal,
            compute_vorticity=False,
        )
    else:
        lines = grid.streamlines_from_source(
            pyvista.PolyData(points[spread(points, _NUM_SEEDS)[0]]),
            vectors=ARROWS,
            max_length=3.0 * diagonal,
            compute_vorticity=False,
            **(_ON_SURFACE if on_surface else {}),
        )
    if lines.n_cells == 0:
        raise ValueError(
            "streamlines: none, since the vectors in the mesh are zero or missing at all seeds"
        )
    return lines if flat is not None else lines.tube(radius=0.0015 * diagonal, n_sides=6)


def _tangential(grid: Any, flat: int | None) -> Any:
    """A plane mesh or a surface with the tangential part of its vectors."""
    surface = grid.extract_surface(algorithm="dataset_surface", nonlinear_subdivision=0)
    if flat is None:
        surface = surface.compute_normals(cell_normals=False, split_vertices=False)
        normals = np.asarray(surface.point_data["Normals"])
    else:
        normals = np.eye(3)[[flat]]
    vectors = np.asarray(surface.point_data[ARROWS])
    normal_part = (vectors * normals).sum(axis=1, keepdims=True)
    surface.point_data[ARROWS] = vectors - normal_part * normals
    return surface


def _start(points: NDArray[np.floating], vectors: NDArray[np.floating]) -> NDArray[np.floating]:
    """The point nearest to the centre that is not nearly at rest, as the centre of a vortex is."""
    norms = np.linalg.norm(vectors, axis=1)
    moving = points[norms >= _MOVING * norms.max()]
    return moving[np.linalg.norm(moving - points.mean(axis=0), axis=1).argmin()]


def spread(points: NDArray[np.floating], count: int) -> tuple[NDArray[np.intp], float]:
    """About ``count`` evenly spread points, the first in each box of a grid.

    Returns:
        Their numbers, and the size of the boxes.
    """
    if len(points) == 0:
        return np.zeros(0, np.intp), 0.0
    low, sizes = points.min(axis=0), np.ptp(points, axis=0)
    sizes = np.where(sizes > 1e-6 * sizes.max(), sizes, 0.0)
    if not sizes.any():
        return np.zeros(1, np.intp), 0.0
    size = float((sizes[sizes > 0].prod() / count) ** (1 / np.count_nonzero(sizes)))
    number = np.zeros(1, np.intp)
    for _ in range(20):  # boxes outside of the mesh are empty
        boxes = np.floor((points - low) / size + 0.5).astype(np.int64)
        number = np.unique(boxes, axis=0, return_index=True)[1]
        if len(number) >= min(0.7 * count, 0.7 * len(points)):
            break
        size *= 0.85
    return np.sort(number), size
