"""The surface that has to be printed for the part to come out as designed."""

import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import trimesh
from numpy.typing import NDArray

from lpbf.compensate.compensation import Compensation, Iteration
from lpbf.compensate.subdivide import subdivide
from lpbf.compensate.surface_displacement import Pitch, surface_displacement
from lpbf.core.checks import check_edges
from lpbf.core.errors import PartWarning
from lpbf.core.islands import choose_islands
from lpbf.core.mesh import HexMesh
from lpbf.core.part import load_part
from lpbf.core.process import Process
from lpbf.simulate import simulate

# It stalls when this many iterations have not brought the error below this share of the best.
_PATIENCE = 4
_PROGRESS = 0.95
# The share that is corrected is halved where the error has not fallen to this share of the last.
_FALL = 0.7


def compensate(
    part: trimesh.Trimesh | str | Path,
    process: Process | None = None,
    *,
    pitch: Pitch,
    tolerance: float,
    max_iterations: int = 10,
    relaxation: float = 1.0,
    displacement: Callable[[HexMesh], NDArray[np.float64]] | None = None,
    on_iteration: Callable[[Iteration], None] | None = None,
) -> Compensation:
    """Pre-deforms a surface until the simulated distorted part is the nominal one.

    With nominal points x and d(v) the simulated displacement of the surface v, voxelised anew each
    time, the fixed point of ``v <- v - relaxation * (v + d(v) - x)`` is the surface that distorts
    into x. It is iterated from v = x until ``max |v + d(v) - x| <= tolerance``; the best surface
    is returned whether or not it got there (:attr:`Compensation.converged`). Points of the part's
    lowest plane are printed on the plate and keep their height, and no other point goes below it:
    of what a part bends there once it is released from its plate, nothing is compensated, and it
    is reported as the plate error.

    Where a voxel comes and goes with the surface, the displacement beside it jumps, so that there
    may be no fixed point: the voxels' staircase is a floor for the error, lower at a finer pitch.

    Args:
        part: A surface in mm, or the path of its file.
        process: Material, layers and inherent strain; None for the defaults. Voxels that nothing
            holds are dropped, unless it lets them stand in powder.
        pitch: Edge length of the voxels in mm, one or (x, y, z); edges of the surface are halved
            until none is longer than the smallest.
        tolerance: Largest distance between corresponding points that is accepted, mm.
        max_iterations: Largest number of corrections; one more shape than that is simulated. It
            ends earlier if four in a row do not better the error by 5 %.
        relaxation: Share of the error that is corrected at a time, above 0, at most 1. It is
            halved, down to an eighth, each time that the error does not fall by 30 %, as where
            voxels come and go with the surface.
        displacement: What takes the simulator's place, for instance a trained surrogate: from a
            mesh to its nodes' displacement [N, 3] in mm.
        on_iteration: Called after each simulated shape.

    Raises:
        FileNotFoundError: If the part's file does not exist.
        PartError: If the part, or what it became, is unusable at this pitch.
        SolverError: If a simulation does not converge.
        ValueError: If an option is out of range, or ``displacement`` gives no finite [N, 3].
    """
    for fine, expected, got in (
        (0 < tolerance < np.inf, "a tolerance > 0 mm", tolerance),
        (max_iterations >= 1, "max_iterations >= 1", max_iterations),
        (0 < relaxation <= 1, "0 < relaxation <= 1", relaxation),
    ):
        if not fine:
            raise ValueError(f"compensate: expected {expected} (got {got})")

    def simulator(mesh: HexMesh) -> NDArray[np.float64]:
        if displacement is not None:
            return _checked(displacement(mesh), mesh)
        return simulate(mesh, process).displacement

    islands = choose_islands(None, (process or Process()).islands)
    nominal = prepare(part, pitch)
    moved, best = nominal, nominal
    iterations: list[Iteration] = []
    best_number, before, share = 0, None, relaxation
    weight = _vertex_areas(nominal)
    for number in range(max_iterations + 1):
        start = time.perf_counter()
        with warnings.catch_warnings():
            if number:  # what there was to say about the part has been said
                warnings.simplefilter("ignore", PartWarning)
            shift, mesh = surface_displacement(moved, pitch, simulator, islands)
        error = moved.vertices + shift - nominal.vertices
        plate_error = _hold(nominal, error)
        distance = np.linalg.norm(error, axis=1)
        iteration = Iteration(
            number,
            max_error=float(distance.max()),
            rms_error=float(np.sqrt((weight * distance**2).sum() / weight.sum())),
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
            best, best_number = moved, number
        if iteration.max_error <= tolerance or _stalls(iterations):
            break
        if number and iteration.max_error > _FALL * iterations[-2].max_error:
            share = max(share / 2, relaxation / 8)
        moved = deform(nominal, moved, -share * error)
    return Compensation(nominal, best, tuple(iterations), best_number, tolerance)


def prepare(part: trimesh.Trimesh | str | Path, pitch: Pitch) -> trimesh.Trimesh:
    """The nominal surface, its triangles small enough to follow the voxels' displacement."""
    edges = check_edges("the pitch", pitch)
    return subdivide(load_part(part), min(edges))


def deform(
    nominal: trimesh.Trimesh, surface: trimesh.Trimesh, by: NDArray[np.float64]
) -> trimesh.Trimesh:
    """The surface moved by [V, 3], nowhere below the plate; what was on it stays on it."""
    vertices = surface.vertices + by
    plate = nominal.bounds[0, 2]
    vertices[:, 2] = vertices[:, 2].clip(plate)
    vertices[_on_plate(nominal), 2] = plate
    return trimesh.Trimesh(vertices, nominal.faces, process=False, metadata=dict(nominal.metadata))


def _on_plate(nominal: trimesh.Trimesh) -> NDArray[np.bool_]:
    low, high = nominal.bounds[:, 2]
    return np.asarray(nominal.vertices[:, 2] <= low + 1e-6 * (high - low))


def _hold(nominal: trimesh.Trimesh, error: NDArray[np.float64]) -> float:
    """Takes what is not compensated out of the error; returns its largest amount."""
    held = _on_plate(nominal)
    plate_error = float(np.abs(error[held, 2]).max())
    error[held, 2] = 0.0
    return plate_error


def _vertex_areas(surface: trimesh.Trimesh) -> NDArray[np.float64]:
    """Three times each vertex's share of the surface."""
    area = np.repeat(surface.area_faces, 3)
    count = len(surface.vertices)
    return np.bincount(surface.faces.ravel(), area, count).astype(np.float64)


def _changed_cells(before: HexMesh | None, mesh: HexMesh) -> int:
    if before is None or before.mask.shape != mesh.mask.shape:
        return mesh.num_cells
    return int((before.mask != mesh.mask).sum())


def _stalls(iterations: list[Iteration]) -> bool:
    if len(iterations) <= _PATIENCE:
        return False
    earlier, later = iterations[:-_PATIENCE], iterations[-_PATIENCE:]
    return min(i.max_error for i in later) > _PROGRESS * min(i.max_error for i in earlier)


def _checked(values: NDArray[np.float64], mesh: HexMesh) -> NDArray[np.float64]:
    values = np.asarray(values, dtype=np.float64)
    if values.shape != (mesh.num_nodes, 3) or not np.isfinite(values).all():
        raise ValueError(
            f"displacement: expected finite values of shape [{mesh.num_nodes}, 3] in mm, one row "
            f"a node (got {list(values.shape)}, {int((~np.isfinite(values)).sum())} not finite)"
        )
    return values
