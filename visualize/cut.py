"""The part of a mesh that a picture shows: thresholds, clips, slices, contours."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_mesh.visualize.planes import parse_plane

SHOWN = "shown"
"""Name of the values that are coloured."""


def threshold(grid: Any, limits: Any) -> Any:
    """The cells whose values reach a number, or are between two.

    A cell of a node field is kept if one of its nodes is in the range.

    Raises:
        ValueError: If no cell is left, or the limits are not one or two numbers.
    """
    low, high = _limits(limits)
    values = np.asarray(_values(grid, "threshold"))
    kept = grid.threshold([low, high], scalars=SHOWN)
    if kept.n_cells == 0:
        largest = np.finfo(np.float64).max
        ends = [f"from {low:g}"] if low > -largest else []
        ends += [f"to {high:g}"] if high < largest else []
        wanted = " ".join(ends) or "with a value"
        raise ValueError(f"threshold: no cell {wanted}; the values are {_range(values)}")
    return kept


def _limits(limits: Any) -> tuple[float, float]:
    try:
        pair = [limits, None] if np.ndim(limits) == 0 else [*limits]
        low, high = pair
        low = -np.inf if low is None else float(low)
        high = np.inf if high is None else float(high)
        if low <= high:
            largest = float(np.finfo(np.float64).max)
            return max(low, -largest), min(high, largest)
    except (TypeError, ValueError):
        pass
    raise ValueError(f"threshold: expected one number or two in ascending order (got {limits!r})")


def clip(grid: Any, planes: Any, bounds: Sequence[float], direction: NDArray[np.float64]) -> Any:
    """The mesh on one side of each plane.

    Args:
        grid: The mesh.
        planes: One or several planes; see :func:`~flare_mesh.visualize.planes.parse_plane`.
        bounds: Of the whole mesh.
        direction: From the mesh to the viewer; a plane without a side removes that side.

    Raises:
        ValueError: If nothing is left.
    """
    for given in _several(planes):
        plane = parse_plane(given, bounds, "clip")
        normal = plane.kept(direction)
        grid = grid.clip(normal=tuple(normal), origin=tuple(plane.origin), invert=False)
        if grid.n_cells == 0:
            raise ValueError(f"clip: '{plane.text}' leaves nothing of the mesh; {_box(bounds)}")
    return grid


def slice_mesh(grid: Any, planes: Any, bounds: Sequence[float]) -> Any:
    """The cut of the mesh with one or several planes, as a surface.

    Raises:
        ValueError: If a plane does not meet the mesh.
    """
    import pyvista

    cuts = []
    for given in _several(planes):
        plane = parse_plane(given, bounds, "slice")
        cut = grid.slice(normal=tuple(plane.normal), origin=tuple(plane.origin))
        if cut.n_points == 0:
            raise ValueError(f"slice: '{plane.text}' does not meet the mesh; {_box(bounds)}")
        cuts.append(cut)
    return cuts[0] if len(cuts) == 1 else pyvista.merge(cuts, merge_points=False)


def contour(grid: Any, wanted: int | Sequence[float]) -> tuple[Any, list[float]]:
    """Surfaces of equal value in solids, or lines on surfaces, and their values.

    Args:
        grid: Mesh with the values at its nodes.
        wanted: Values, or the number of values evenly inside of the range.

    Raises:
        ValueError: If none of the values is reached.
    """
    values = np.asarray(_values(grid, "contours"))
    finite = values[np.isfinite(values)]
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 0.0)
    if isinstance(wanted, int):
        if wanted < 1:
            raise ValueError(f"contours: expected at least 1 (got {wanted})")
        levels = low + (high - low) * (np.arange(wanted) + 0.5) / wanted
    else:
        levels = np.atleast_1d(np.asarray(wanted, dtype=float))
    found = grid.contour(isosurfaces=levels.tolist(), scalars=SHOWN, compute_normals=False)
    if found.n_points == 0:
        listed = ", ".join(f"{level:g}" for level in levels)
        raise ValueError(f"contours: none at {listed}; the values are {_range(values)}")
    return found, levels.tolist()


def _several(planes: Any) -> list[Any]:
    """One plane or a list of them, as a list."""
    if isinstance(planes, str):
        return [planes]
    if all(isinstance(plane, str) for plane in planes):
        return [*planes]
    shape = np.shape(planes)
    return [planes] if shape in ((3,), (2, 3)) else [*planes]


def _values(grid: Any, option: str) -> Any:
    for data in (grid.point_data, grid.cell_data):
        if SHOWN in data:
            return data[SHOWN]
    raise ValueError(f"{option}: expected a field; give its name")


def _range(values: NDArray[np.floating]) -> str:
    finite = values[np.isfinite(values)]
    return f"from {finite.min():g} to {finite.max():g}" if finite.size else "all missing"


def _box(bounds: Sequence[float]) -> str:
    x, y, z = np.asarray(bounds).reshape(3, 2)
    return f"x is from {x[0]:g} to {x[1]:g}, y {y[0]:g} to {y[1]:g}, z {z[0]:g} to {z[1]:g}"
