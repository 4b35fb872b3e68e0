"""Hexahedral meshes from surfaces."""

import math
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from flare_mesh.choices import check_choice
from lpbf.core.bodies import body_labels, orient_bodies
from lpbf.core.checks import check_edges
from lpbf.core.errors import PartError, PartWarning
from lpbf.core.fill import fill, grid_shape
from lpbf.core.fill_supports import fill_supports
from lpbf.core.filling import check_filling
from lpbf.core.islands import ISLANDS, treat_islands
from lpbf.core.mesh import HexMesh
from lpbf.core.part import load_part, part_name, part_unit
from lpbf.core.placement import PLACES, place_rotation, plate_height, rotate_part
from lpbf.core.rigid_motion import RigidMotion
from lpbf.core.units import other_units, size_text

if TYPE_CHECKING:
    import trimesh

MAX_VOXELS = 4_000_000
BUILD_VOLUME = (250.0, 250.0, 300.0)


def voxelize(
    part: "trimesh.Trimesh | str | Path",
    pitch: float | tuple[float, float, float],
    *,
    islands: str = "drop",
    max_voxels: int = MAX_VOXELS,
    build_volume: tuple[float, float, float] = BUILD_VOLUME,
    supports: "Sequence[trimesh.Trimesh | str | Path]" = (),
    unit: str | None = None,
    place: str = "drop",
) -> HexMesh:
    """Fill a surface with voxels, centred at x = y = 0 above the plate z = 0.

    A voxel belongs to the part if its centre lies inside; see :func:`lpbf.core.fill.fill`. Bodies
    that are inside out, and voxels that hold much more or less than the part, give a
    :class:`PartWarning`.

    Args:
        part: A surface in mm, or the path of a file (:data:`lpbf.core.part.PART_SUFFIXES`).
        pitch: Edge length of the voxels in mm, one or (x, y, z).
        islands: Treatment of voxels that nothing supports when their layer is built: ``"drop"``
            them with a warning, ``"refuse"`` the part, or leave them to the ``"powder"`` of the
            :class:`lpbf.Process`.
        max_voxels: Largest number of voxels in the part's bounding box.
        build_volume: Largest extents of a part, mm.
        supports: Support bodies in the part's coordinates, surfaces or paths of files; see
            :attr:`HexMesh.supports`.
        unit: Unit of the files of part and supports that have none of their own, one of
            :data:`lpbf.core.units.UNITS`; None for mm.
        place: ``"drop"`` the part to the plate, leave its height ``"as-is"`` in its file, where the
            plate is z = 0, or ``"orient"`` it (:func:`lpbf.core.orient.find_orientation`) and drop
            it. :attr:`HexMesh.placement` has the motion.

    Raises:
        FileNotFoundError: If a file does not exist.
        PartError: If a file or surface is unusable, the part is larger than the build volume, the
            pitch gives no or too many voxels, or a support body lies outside the part's box; if
            the part is left below the plate, or above it without support.
        IslandError: If ``islands="refuse"`` and there are unsupported voxels.
        ValueError: If the pitch is not positive, a choice is unknown, the unit does not apply, or
            the orientation of a part with given supports is to be changed.
    """
    check_choice("unknown islands", islands, ISLANDS)
    check_choice("unknown place", place, PLACES)
    if len(supports) and place == "orient":
        raise ValueError(
            "expected place 'drop' or 'as-is' of a part with given supports (got 'orient'), as "
            "they belong to its orientation; leave one of them out"
        )
    spacing = check_edges("the pitch", pitch)
    sizes = np.array(spacing)
    surface = load_part(part, unit=part_unit(part, supports, unit))
    name = part_name(surface)
    if not surface.is_winding_consistent:
        from trimesh.repair import fix_normals

        surface = surface.copy()
        fix_normals(surface, multibody=True)
    rotation = place_rotation(surface, place)
    surface = rotate_part(surface, rotation)
    bounds = np.array(surface.bounds)
    bounds[0, 2] = plate_height(surface, place)
    extents = bounds[1] - bounds[0]
    if (extents > np.asarray(build_volume) * (1 + 1e-9)).any():
        units = other_units(extents) if surface.metadata.get("unit_assumed") else ""
        raise PartError(
            f"{name}: {size_text(extents)} mm is larger than the build volume of "
            f"{size_text(build_volume)} mm; rotate or scale it, or give the build volume of the "
            f"machine (--build-volume, or build_volume of lpbf.voxelize){units and '; ' + units}"
        )
    shape, count = grid_shape(extents, sizes)
    if count > max_voxels:
        coarser = (extents.prod() / max_voxels) ** (1 / 3)
        step = 10.0 ** (math.floor(math.log10(coarser)) - 1)
        multiple = math.ceil(coarser / step)  # two significant digits
        while grid_shape(extents, np.full(3, multiple * step))[1] > max_voxels:
            multiple += 1
        raise PartError(
            f"{name}: a pitch of {size_text(sizes)} mm gives a grid of {count:,.15g} voxels, "
            f"over the limit of {max_voxels:,}; use a pitch of at least {multiple * step:g} mm"
        )
    base = np.array([*bounds.mean(axis=0)[:2], bounds[0, 2]])
    triangles = surface.triangles.view(np.ndarray) - base
    nx, ny, nz = (int(n) for n in shape)
    origin = (-nx * sizes[0] / 2, -ny * sizes[1] / 2, 0.0)
    filled = fill(triangles, (nx, ny, nz), sizes, np.array(origin), surface.is_watertight)
    notes, filling = [], None
    if filled.winding is not None:
        labels = body_labels(surface)
        filled, triangles, notes = orient_bodies(filled, triangles, labels, sizes, np.array(origin))
        filling, found = check_filling(
            filled, triangles, sizes, max_voxels, RigidMotion(rotation, -base)
        )
        notes += found
    mask = filled.mask
    if not mask.any():
        raise PartError(
            f"{name}: no voxel centre lies inside at a pitch of {size_text(sizes)} mm (the part is "
            f"{size_text(extents)} mm); use a pitch below its wall thickness"
        )
    for note in notes:
        warnings.warn(f"{name}: {note}", PartWarning, stacklevel=2)
    bodies = None
    if len(supports):
        grid = (nx, ny, nz)
        bodies = fill_supports(supports, base, bounds, grid, sizes, np.array(origin), unit)
    bottom = int(mask.any(axis=(0, 1)).argmax())
    if place == "as-is":
        if bottom and bodies is None and islands != "powder":
            raise PartError(
                f"{name}: floats {surface.bounds[0, 2]:.4g} mm above the plate, where nothing "
                f"supports it; give supports (--supports auto), or choose --place drop"
            )
        bottom = 0
    # Bottom rows without voxels are cut off, so that the part rests on the plate.
    bodies = None if bodies is None else bodies[:, :, bottom:]
    motion = RigidMotion(rotation, 0.0 - base - np.array([0.0, 0.0, bottom * sizes[2]]))
    mesh = HexMesh.from_mask(mask[:, :, bottom:], spacing, origin, bodies, motion)
    return treat_islands(replace(mesh, filling=filling), islands, name)
