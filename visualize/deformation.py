"""Displacements and other vectors at the nodes of a picture."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_mesh.visualize.arrows import ARROWS
from flare_mesh.visualize.field_values import FieldValues, at_nodes, find_field
from flare_mesh.visualize.plot_options import PlotOptions

WARP = "warp"
"""Name of the displacement at the nodes."""

# The largest displacement is drawn at this share of the mesh's diagonal.
_VISIBLE = 0.05


def visible_scale(box: NDArray[Any], largest: float) -> float:
    """Scale factor, of one digit, at which the largest displacement can be seen.

    Args:
        box: Points that enclose the mesh, [K, 3].
        largest: Largest norm of the displacement.
    """
    diagonal = float(np.linalg.norm(np.ptp(box, axis=0)))
    return float(f"{_VISIBLE * diagonal / largest:.1g}") if largest > 0 and diagonal > 0 else 1.0


def with_factor(grid: Any, options: PlotOptions) -> PlotOptions:
    """The options with the scale factor of the deformation as a number.

    Raises:
        ValueError: If there is a factor without a displacement.
    """
    displacement = warp_vectors(grid, options)
    if displacement is None or options.factor is not None:
        return options
    return replace(options, factor=visible_factor(grid, displacement))


def visible_factor(grid: Any, displacement: NDArray[np.floating]) -> float:
    """Scale factor, of one digit, at which the displacement [N, 3] of a mesh can be seen."""
    lengths = np.linalg.norm(displacement, axis=1)
    largest = float(lengths[np.isfinite(lengths)].max(initial=0.0))
    return visible_scale(np.asarray(grid.points), largest)


def warp_vectors(
    grid: Any, options: PlotOptions, notes: list[str] | None = None
) -> NDArray[np.floating] | None:
    """Displacement of the nodes, [N, 3], zero where it is missing; None without one.

    Args:
        grid: The mesh.
        options: Its displacement.
        notes: Remarks, to which missing values are added.

    Raises:
        ValueError: If there is a factor without a displacement.
    """
    if options.warp is None and options.factor is not None:
        raise ValueError("factor: expected a displacement to scale; give warp")
    return _vectors(grid, options.warp, WARP, notes, "displacement")


def arrow_vectors(
    grid: Any, options: PlotOptions, notes: list[str] | None = None
) -> NDArray[np.floating] | None:
    """Vectors of arrows or streamlines at the nodes, [N, 3], zero where missing; None without.

    Args:
        grid: The mesh.
        options: Its vectors.
        notes: Remarks, to which missing values are added.
    """
    given = [one for one in (options.glyphs, options.streamlines) if one is not None]
    if len(given) > 1:
        raise ValueError("expected glyphs or streamlines (got both); choose one")
    return _vectors(grid, given[0] if given else None, ARROWS, notes, "vector")


def _vectors(
    grid: Any, given: Any, name: str, notes: list[str] | None, kind: str
) -> NDArray[np.floating] | None:
    if given is None:
        return None
    found = given if isinstance(given, FieldValues) else find_field(grid, given, name=name)
    vectors = at_nodes(grid, found).vector()
    known = np.isfinite(vectors).all(axis=1, keepdims=True)
    missing = len(vectors) - int(np.count_nonzero(known))
    if missing and notes is not None:
        notes.append(f"no {kind} at {missing:,} of {len(vectors):,} nodes (taken as zero)")
    return np.where(known, vectors, 0.0)


def deform(part: Any, factor: float) -> Any:
    """A part with the displacement :data:`WARP` at its points, moved by it; others as they are."""
    import pyvista

    if part is None or factor == 0.0 or WARP not in part.point_data:
        return part
    moved = part.copy(deep=False)
    # Not by moved.points, since shallow copies share their points.
    moved.SetPoints(pyvista.vtk_points(deformed_points(part, factor)))
    return moved


def deformed_points(part: Any, factor: float) -> NDArray[np.floating]:
    """Points of a part that is moved by its displacement :data:`WARP`, if it has one, [N, 3]."""
    points = np.asarray(part.points)
    if factor == 0.0 or WARP not in part.point_data:
        return points
    return points + factor * np.asarray(part.point_data[WARP])
