"""Compensation of a part's distortion."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from flare_mesh.choices import check_choice
from lpbf.compensate.check import check_surface
from lpbf.compensate.compensation import Compensation, Iteration
from lpbf.compensate.merge_bodies import merge_bodies
from lpbf.compensate.mesh_field import MeshField
from lpbf.compensate.nominal import Nominal
from lpbf.compensate.simulator import Displacement, OnStep, Simulation, given_field
from lpbf.compensate.subdivide import subdivide
from lpbf.compensate.surface_field import SurfaceField
from lpbf.compensate.topology import Defect, compare_topology
from lpbf.core.bodies import body_labels
from lpbf.core.checks import check_edges
from lpbf.core.errors import PartWarning
from lpbf.core.mesh import HexMesh
from lpbf.core.part import load_part, part_name, part_unit, unit_if_none
from lpbf.core.placement import part_offset, place_rotation, rotate_part
from lpbf.core.process import Process
from lpbf.core.voxelize import BUILD_VOLUME, voxelize

if TYPE_CHECKING:
    import trimesh

COMPENSATED_PLACES = ("drop", "orient")
"""Placements of a part that is compensated."""

Pitch = float | tuple[float, float, float]
OnBuilds = Callable[[Sequence[HexMesh], Process], OnStep]


def compensate(
    part: "trimesh.Trimesh | str | Path",
    process: Process | None = None,
    *,
    pitch: Pitch,
    tolerance: float = 1e-3,
    max_iterations: int = 10,
    build_volume: tuple[float, float, float] = BUILD_VOLUME,
    supports: "Sequence[trimesh.Trimesh | str | Path]" = (),
    displacement: Displacement | None = None,
    unit: str | None = None,
    place: str = "drop",
    check_pitch: Pitch | None = None,
    on_iteration: Callable[[Iteration], None] | None = None,
    on_builds: OnBuilds | None = None,
) -> Compensation:
    """Pre-deform a surface so that its distortion gives the nominal surface.

    The displacement of the part's voxels is simulated once, and extended continuously to all points
    in and around them. A vertex with the nominal position x and the displacement u there has
    ``d(v) = u + grad u (v - x)`` when it has moved to v, and the position from which it distorts to
    x is the fixed point of ``v <- v - (v + d(v) - x)``. The iteration starts from v = x and ends
    when ``max |v + d(v) - x| <= tolerance``; each step reduces the error by about the
    displacement's gradient. It ends, too, when a correction would move no vertex by more than a
    hundredth of the tolerance (:attr:`Compensation.stopped` says why). The best surface is returned
    even if the tolerance is not reached (:attr:`Compensation.converged`).

    The assumption is that the pre-deformed part, which has other voxels where its surface has
    crossed their centres, distorts like the nominal one. What it neglects is of second order, the
    displacement times its gradient, as are the terms that small strains neglect. Voxels of the
    moved surface would instead add a jump of the displacement for each voxel that appears or
    disappears, so that there is no fixed point. ``check_pitch`` simulates the surface on voxels of
    its own.

    Vertices in the lowest plane of the part are printed on the plate and keep their height, and no
    other goes below it. Bending of this plane after the release is not compensated, but reported as
    the plate error. Points on voxels that a cut of the release removes are corrected like the
    nearest voxel that is left, and count in no error.

    Bodies that touch or overlap are united first. Triangles of the pre-deformed surface that
    intersect, are inverted or have no area, and did not or were not before, give a
    :class:`PartWarning` with their places.

    Args:
        part: A surface in mm, or the path of its file.
        process: Material, layers and inherent strain; None for the defaults. Unsupported voxels are
            dropped, unless the process supports them by powder.
        pitch: Edge length of the voxels in mm, one or (x, y, z). With one, their height fits the
            layers of the process (:meth:`lpbf.Process.voxel_size`), except with ``displacement``.
            Edges of the surface are halved until none is longer than the smallest.
        tolerance: Largest accepted distance of a vertex from its nominal position, mm.
        max_iterations: Largest number of corrections.
        build_volume: Largest extents of the part, mm.
        supports: Support bodies in the part's coordinates, in addition to those that the process
            generates. They stay where they are.
        displacement: In place of the simulator, a function from a mesh to its nodal displacement
            [N, 3] in mm, for instance a trained surrogate; or a mesh, or its file, with the nodal
            field ``displacement`` at the nodes of the part's voxels, see
            :class:`~lpbf.compensate.mesh_field.MeshField`.
        unit: Unit of the files of part and supports that have none of their own; None for mm.
        place: ``"drop"`` the part to the plate, or ``"orient"`` it first, see
            :func:`lpbf.voxelize`; the returned surfaces have the orientation of the file.
        check_pitch: Edge length of the voxels of a check in mm, as ``pitch``; None for no check.
            The layers keep their height. Costs two simulations.
        on_iteration: Function to call after each shape.
        on_builds: Function to call before the first simulation, with the voxels of each and the
            process; those of the pre-deformed surface, which are not known, are given as those of
            the part. It returns a function to call after each layer and each cut, with the number
            of the simulation (from 0), its steps that are done, all of its steps, and the name of
            the last one. It is not called if ``displacement`` is given.

    Raises:
        FileNotFoundError: If a file does not exist.
        PartError: If the part, or its pre-deformed shape, is unusable at this pitch.
        SolverError: If a simulation does not converge.
        ValueError: If an option is out of range, ``displacement`` does not return finite [N, 3], or
            its mesh has no such field, or that of another part or pitch.
    """
    for fine, expected, got in (
        (0 < tolerance < np.inf, "a tolerance > 0 mm", tolerance),
        (max_iterations >= 1, "max_iterations >= 1", max_iterations),
    ):
        if not fine:
            raise ValueError(f"compensate: expected {expected} (got {got})")
    check_choice("compensate: unknown place", place, COMPENSATED_PLACES)
    if len(supports) and place == "orient":
        raise ValueError(
            "compensate: expected place 'drop' of a part with given supports (got 'orient'), as "
            "they belong to its orientation; leave one of them out"
        )
    process = Process() if process is None else process
    edges = check_edges("the pitch", pitch)
    if check_pitch is not None:
        check_edges("check_pitch", check_pitch)
    if displacement is None:
        pitch = process.voxel_size(pitch)
    given = load_part(part, unit=part_unit(part, supports, unit))
    surface = subdivide(merge_bodies(given), min(edges))
    rotation = place_rotation(surface, place)
    surface = rotate_part(surface, rotation)
    bodies = [load_part(body, unit=unit_if_none(body, unit)) for body in supports]
    islands = process.choose_islands()
    field_of = None if displacement is None else given_field(displacement)
    if isinstance(field_of, MeshField):
        if check_pitch is not None:
            raise ValueError(
                f"check_pitch: expected a process to simulate (got the displacement of "
                f"{field_of.name}); leave one of them out"
            )
        whole = voxelize(surface, pitch, islands="powder", build_volume=build_volume)
        # Powder or supports under islands, or a part without its islands.
        islands = "powder" if field_of.has_nodes_of(whole) else "drop"

    def voxels(shape: "trimesh.Trimesh", edges: Pitch) -> HexMesh:
        return voxelize(shape, edges, islands=islands, build_volume=build_volume, supports=bodies)

    mesh = voxels(surface, pitch)
    builds = [mesh]
    if check_pitch is not None:
        if displacement is None:
            height = mesh.spacing[2] * process.voxels_per_layer(mesh.spacing[2])
            process = replace(process, layer_height=height)
            check_pitch = process.voxel_size(check_pitch)
        builds += [voxels(surface, check_pitch)] * 2
    if field_of is None:
        on_step = None if on_builds is None else on_builds(builds, process)
        field_of = Simulation(process, on_step)
    field = SurfaceField(mesh, part_offset(surface, mesh), field_of)
    field.warn_of_far_points(surface)
    nominal = Nominal(surface, field)
    best, best_number, stopped = surface, 0, None
    iterations: list[Iteration] = []
    for number in range(max_iterations + 1):
        error, plate_error = nominal.errors(surface)
        iteration = Iteration(number, nominal.deviation(error), plate_error)
        iterations.append(iteration)
        if on_iteration is not None:
            on_iteration(iteration)
        largest = iteration.deviation.vertices.max
        if largest < iterations[best_number].deviation.vertices.max:
            best, best_number = surface, number
        if largest <= tolerance:
            break
        moved = nominal.correct(surface, error)
        stopped = nominal.why_stopped(surface, moved, error, tolerance)
        if stopped is not None:
            break
        surface = moved

    check = None
    if check_pitch is not None:
        fine = check_pitch
        check = check_surface(nominal, best, field, builds[1], lambda s: voxels(s, fine), field_of)
    designed, best = (rotate_part(shape, rotation.T) for shape in (nominal.surface, best))
    before, after, defects = compare_topology(designed, best)
    if defects:
        _warn(part_name(given), defects, float(np.abs(best.vertices - designed.vertices).max()))
    return Compensation(
        designed,
        best,
        tuple(iterations),
        best_number,
        tolerance,
        rotation,
        stopped=stopped,
        check=check,
        bodies=int(body_labels(given).max()) + 1,
        topology=after,
        topology_as_designed=before,
        defects=defects,
    )


def _warn(name: str, defects: tuple[Defect, ...], largest: float) -> None:
    text = (
        f"{name}: the compensated surface has {' and '.join(map(str, defects))}; the correction, "
        f"up to {largest:.3g} mm, differs there by more than the width of a wall or gap: repair "
        f"the surface, or print the part in another orientation or with supports"
    )
    warnings.warn(text, PartWarning, stacklevel=3)
