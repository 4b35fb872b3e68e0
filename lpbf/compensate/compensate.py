"""Iterative compensation of distortion by simulation."""

import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import trimesh
from numpy.typing import NDArray

from flare_mesh.choices import check_choice
from lpbf.compensate.compensation import Compensation, Iteration
from lpbf.compensate.subdivide import subdivide
from lpbf.compensate.surface_displacement import Pitch, surface_displacement
from lpbf.core.checks import check_edges
from lpbf.core.errors import PartError, PartWarning
from lpbf.core.mesh import HexMesh
from lpbf.core.part import load_part, part_unit, unit_if_none
from lpbf.core.placement import place_rotation, rotate_part
from lpbf.core.process import Process
from lpbf.core.voxelize import BUILD_VOLUME
from lpbf.simulate import simulate

COMPENSATED_PLACES = ("drop", "orient")
"""Placements of a part that is compensated."""

# The iteration stalls if the last _PATIENCE errors are all above _PROGRESS times the best before.
_PATIENCE = 4
_PROGRESS = 0.95
# The relaxation is halved if the error is above this ratio to the last one.
_DECREASE = 0.7


def compensate(
    part: trimesh.Trimesh | str | Path,
    process: Process | None = None,
    *,
    pitch: Pitch,
    tolerance: float,
    max_iterations: int = 10,
    relaxation: float = 1.0,
    build_volume: tuple[float, float, float] = BUILD_VOLUME,
    supports: Sequence[trimesh.Trimesh | str | Path] = (),
    displacement: Callable[[HexMesh], NDArray[np.float64]] | None = None,
    unit: str | None = None,
    place: str = "drop",
    on_iteration: Callable[[Iteration], None] | None = None,
) -> Compensation:
    """Pre-deform a surface until its simulated distortion gives the nominal surface.

    With nominal points x and the simulated displacement d(v) of a surface v, the fixed point of
    ``v <- v - relaxation * (v + d(v) - x)`` is the surface that distorts to x. The iteration starts
    from v = x and ends when ``max |v + d(v) - x| <= tolerance``. The best surface is returned even
    if the tolerance is not reached (:attr:`Compensation.converged`). Points in the lowest plane of
    the part are printed on the plate and keep their height, and no other point goes below it.
    Bending of this plane after the release is not compensated, but reported as the plate error.
    Points on voxels that a cut of the release removes are corrected like the nearest voxel that is
    left, and count in no error.

    Each surface is voxelised again. If a voxel appears or disappears, the displacement next to it
    jumps, so there may be no fixed point: the staircase of the voxels is a lower limit of the
    error, which decreases with the pitch.

    Args:
        part: A surface in mm, or the path of its file.
        process: Material, layers and inherent strain; None for the defaults. Unsupported voxels are
            dropped, unless the process supports them by powder.
        pitch: Edge length of the voxels in mm, one or (x, y, z); edges of the surface are halved
            until none is longer than the smallest.
        tolerance: Largest accepted distance between corresponding points, mm.
        max_iterations: Largest number of corrections; one more shape is simulated. The iteration
            ends earlier if four corrections in a row do not reduce the error by 5 %.
        relaxation: Fraction of the error that is corrected per iteration, above 0, at most 1. It is
            halved, down to an eighth, each time the error does not decrease by 30 %.
        build_volume: Largest extents of the part, mm.
        supports: Support bodies in the part's coordinates, in addition to those that the process
            generates. They stay where they are.
        displacement: Function from a mesh to its nodal displacement [N, 3] in mm, in place of the
            simulator, for instance a trained surrogate.
        unit: Unit of the files of part and supports that have none of their own; None for mm.
        place: ``"drop"`` the part to the plate, or ``"orient"`` it first, see
            :func:`lpbf.voxelize`; the returned surfaces have the orientation of the file.
        on_iteration: Function to call after each simulated shape.

    Raises:
        FileNotFoundError: If the part's file does not exist.
        PartError: If the part, or its pre-deformed shape, is unusable at this pitch.
        SolverError: If a simulation does not converge.
        ValueError: If an option is out of range, or ``displacement`` does not return finite
            [N, 3].
    """
    for fine, expected, got in (
        (0 < tolerance < np.inf, "a tolerance > 0 mm", tolerance),
        (max_iterations >= 1, "max_iterations >= 1", max_iterations),
        (0 < relaxation <= 1, "0 < relaxation <= 1", relaxation),
    ):
        if not fine:
            raise ValueError(f"compensate: expected {expected} (got {got})")

    def simulator(mesh: HexMesh) -> tuple[NDArray[np.float64], NDArray[np.bool_] | None]:
        if displacement is None:
            result = simulate(mesh, process)
            return result.displacement, result.removed
        values = np.asarray(displacement(mesh), dtype=np.float64)
        if values.shape != (mesh.num_nodes, 3) or not np.isfinite(values).all():
            raise ValueError(
                f"displacement: expected finite values of shape [{mesh.num_nodes}, 3] in mm (got "
                f"{list(values.shape)}, {int((~np.isfinite(values)).sum())} not finite)"
            )
        return values, None

    islands = (process or Process()).choose_islands()
    check_choice("compensate: unknown place", place, COMPENSATED_PLACES)
    if len(supports) and place == "orient":
        raise ValueError(
            "compensate: expected place 'drop' of a part with given supports (got 'orient'), as "
            "they belong to its orientation; leave one of them out"
        )
    nominal = prepare(part, pitch, part_unit(part, supports, unit))
    rotation = place_rotation(nominal, place)
    nominal = rotate_part(nominal, rotation)
    if displacement is None:
        pitch = (process or Process()).voxel_size(pitch)
    bodies = [load_part(body, unit=unit_if_none(body, unit)) for body in supports]
    surface, best = nominal, nominal
    iterations: list[Iteration] = []
    best_number, before, fraction = 0, None, relaxation
    # Area of the triangles at each vertex, mm^2.
    weight = np.bincount(
        nominal.faces.ravel(), np.repeat(nominal.area_faces, 3), len(nominal.vertices)
    )
    on_plate = _on_plate(nominal)
    for number in range(max_iterations + 1):
        start = time.perf_counter()
        with warnings.catch_warnings():
            if number:  # the nominal part has given these warnings
                warnings.simplefilter("ignore", PartWarning)
            moved = surface_displacement(surface, pitch, simulator, islands, build_volume, bodies)
        mesh, left = moved.mesh, ~moved.lost
        if not left.any():
            raise PartError(
                "compensate: the release removes the voxels at all points of the surface; move "
                "its cuts"
            )
        error = surface.vertices + moved.shift - nominal.vertices
        plate_error = float(np.abs(error[on_plate & left, 2]).max(initial=0.0))
        error[on_plate, 2] = 0.0
        distance, area = np.linalg.norm(error[left], axis=1), weight[left]
        iteration = Iteration(
            number,
            max_error=float(distance.max()),
            rms_error=float(np.sqrt((area * distance**2).sum() / area.sum())),
            p99_error=float(np.quantile(distance, 0.99)),
            plate_error=plate_error,
            num_cells=mesh.num_cells,
            changed_cells=_changed_cells(before, mesh),
            seconds=time.perf_counter() - start,
        )
        before = mesh
        iterations.append(iteration)
        if on_iteration is not None:
            on_iteration(iteration)
        if iteration.max_error < iterations[best_number].max_error:
            best, best_number = surface, number
        if iteration.max_error <= tolerance or _stalls(iterations):
            break
        if number and iteration.max_error > _DECREASE * iterations[-2].max_error:
            fraction = max(fraction / 2, relaxation / 8)
        surface = deform(nominal, surface, -fraction * error)
    nominal, best = (rotate_part(s, rotation.T) for s in (nominal, best))
    return Compensation(nominal, best, tuple(iterations), best_number, tolerance, rotation)


def prepare(
    part: trimesh.Trimesh | str | Path, pitch: Pitch, unit: str | None = None
) -> trimesh.Trimesh:
    """Read the nominal surface and subdivide it, so that it can follow the voxels."""
    return subdivide(load_part(part, unit=unit), min(check_edges("the pitch", pitch)))


def deform(
    nominal: trimesh.Trimesh, surface: trimesh.Trimesh, by: NDArray[np.float64]
) -> trimesh.Trimesh:
    """Move a surface by [V, 3], but no point below the plate, and none off it."""
    vertices = surface.vertices + by
    plate = nominal.bounds[0, 2]
    vertices[:, 2] = vertices[:, 2].clip(plate)
    vertices[_on_plate(nominal), 2] = plate
    return trimesh.Trimesh(vertices, nominal.faces, process=False, metadata=dict(nominal.metadata))


def _on_plate(nominal: trimesh.Trimesh) -> NDArray[np.bool_]:
    low, high = nominal.bounds[:, 2]
    return np.asarray(nominal.vertices[:, 2] <= low + 1e-6 * (high - low))


def _changed_cells(before: HexMesh | None, mesh: HexMesh) -> int:
    if before is None or before.mask.shape != mesh.mask.shape:
        return mesh.num_cells
    return int((before.mask != mesh.mask).sum())


def _stalls(iterations: list[Iteration]) -> bool:
    if len(iterations) <= _PATIENCE:
        return False
    earlier, later = iterations[:-_PATIENCE], iterations[-_PATIENCE:]
    return min(i.max_error for i in later) > _PROGRESS * min(i.max_error for i in earlier)
