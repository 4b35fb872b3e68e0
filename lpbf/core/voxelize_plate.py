"""Hexahedral mesh of several parts on one plate."""

import math
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from flare_mesh.choices import check_choice
from lpbf.core.checks import check_edges
from lpbf.core.errors import PartError, PartWarning
from lpbf.core.fill import fill
from lpbf.core.islands import treat_islands
from lpbf.core.mesh import HexMesh
from lpbf.core.part import load_part, part_name, plate_units
from lpbf.core.placement import PLACES, place_rotation, plate_height, rotate_part
from lpbf.core.plate import Plate
from lpbf.core.rigid_motion import RigidMotion
from lpbf.core.voxelize import BUILD_VOLUME, MAX_VOXELS, voxelize

if TYPE_CHECKING:
    import trimesh


def voxelize_plate(
    parts: "Sequence[trimesh.Trimesh | str | Path]",
    pitch: float | tuple[float, float, float],
    *,
    gap: float | None = None,
    place: str = "drop",
    islands: str = "drop",
    max_voxels: int = MAX_VOXELS,
    build_volume: tuple[float, float, float] = BUILD_VOLUME,
    supports: "Sequence[trimesh.Trimesh | str | Path]" = (),
    unit: str | None = None,
) -> HexMesh:
    """Fill several parts with voxels of one grid; :attr:`HexMesh.plate` tells them apart.

    Args:
        parts: Surfaces in mm, or the paths of their files.
        pitch: See :func:`lpbf.voxelize`.
        gap: Smallest gap between the boxes of the parts in mm, which are put in a row along x in
            their order, whole voxels apart, so that equal parts have equal voxels; None
            leaves them where their files have them in x and y.
        place: Placement of each part by itself, see :func:`lpbf.voxelize`; ``"orient"`` needs a
            gap.
        islands: See :func:`lpbf.voxelize`.
        max_voxels: Largest number of voxels in the box around the parts.
        build_volume: Largest extents of the box around the parts, mm.
        supports: Support bodies in the coordinates of the files, without a gap.
        unit: Unit of the files that have none of their own; None for mm.

    Raises:
        FileNotFoundError: If a file does not exist.
        IslandError: If ``islands="refuse"`` and there are unsupported voxels.
        PartError: If :func:`lpbf.voxelize` refuses the parts, or two of them overlap, touch, or
            have voxels that do.
        ValueError: If an option is out of range, or options do not fit together.
    """
    check_choice("unknown place", place, PLACES)
    if gap is not None and not 0 < gap < math.inf:
        raise ValueError(f"expected a gap > 0 mm between the parts (got {gap})")
    if place == "orient" and gap is None:
        raise ValueError(
            "expected a gap between several oriented parts, as their places in x and y belong to "
            "another orientation (got none); give --gap"
        )
    if len(supports) and (gap is not None or place != "as-is"):
        raise ValueError(
            "expected place 'as-is' without a gap of several parts with given supports, which are "
            "in the coordinates of their files; leave out --gap and give --place as-is"
        )
    units = plate_units(parts, unit, supports)
    surfaces = [load_part(part, unit=u) for part, u in zip(parts, units, strict=True)]
    placed = [_place(surface, place) for surface in surfaces]
    if gap is not None:
        placed = _arrange(surfaces, placed, gap, check_edges("the pitch", pitch)[0])
    names = tuple(part_name(surface) for surface in surfaces)
    moved = [_moved(surface, motion) for surface, motion in zip(surfaces, placed, strict=True)]
    whole = _concatenate(moved, ", ".join(names))
    with warnings.catch_warnings():
        # That there are several bodies is no news, the parts have given their own warnings, and
        # bodies within others are refused below.
        known = r".* has \d+ bodies|.*winding|.*lies within another one"
        warnings.filterwarnings("ignore", known, PartWarning)
        mesh = voxelize(
            whole,
            pitch,
            place="as-is",
            islands="powder",
            max_voxels=max_voxels,
            build_volume=build_volume,
            supports=supports,
            unit=unit if len(supports) else None,
        )
    assert mesh.placement is not None
    shift = mesh.placement.translation
    number = _number(mesh, [np.asarray(s.triangles) + shift for s in moved], moved, names)
    motions = tuple(RigidMotion(m.rotation, m.translation + shift) for m in placed)
    mesh = replace(mesh, placement=None, plate=Plate(names, motions, number))
    mesh = treat_islands(mesh, islands, ", ".join(names))
    for part, name in enumerate(names, start=1):
        if not (mesh.mask & (number == part)).any():
            raise PartError(
                f"{name}: nothing of it is left, as it floats above the plate; give supports "
                f"(--supports auto), or choose --place drop"
            )
    return mesh


def _place(surface: "trimesh.Trimesh", place: str) -> RigidMotion:
    rotation = place_rotation(surface, place)
    height = plate_height(rotate_part(surface, rotation), place)
    return RigidMotion(rotation, np.array([0.0, 0.0, 0.0 - height]))


def _arrange(
    surfaces: "Sequence[trimesh.Trimesh]",
    placed: Sequence[RigidMotion],
    gap: float,
    edge: float,
) -> list[RigidMotion]:
    """Move the parts into a row along x, with the middles of their boxes at y = 0."""
    arranged, x = [], 0.0
    for surface, motion in zip(surfaces, placed, strict=True):
        low, high = np.asarray(_moved(surface, motion).bounds)
        shift = np.array([x - low[0], -(low[1] + high[1]) / 2, 0.0])
        arranged.append(RigidMotion(motion.rotation, motion.translation + shift))
        x += edge * math.ceil((float(high[0] - low[0]) + gap) / edge - 1e-9)
    return arranged


def _moved(surface: "trimesh.Trimesh", motion: RigidMotion) -> "trimesh.Trimesh":
    moved = surface.copy()
    moved.vertices = motion.apply(np.asarray(surface.vertices))
    return moved


def _concatenate(surfaces: "Sequence[trimesh.Trimesh]", name: str) -> "trimesh.Trimesh":
    import trimesh

    counts = np.cumsum([0, *(len(surface.vertices) for surface in surfaces)])
    faces = [surface.faces + first for surface, first in zip(surfaces, counts, strict=False)]
    points = np.concatenate([np.asarray(surface.vertices) for surface in surfaces])
    whole = trimesh.Trimesh(points, np.concatenate(faces), process=False)
    whole.metadata["file_path"] = name
    return whole


def _number(
    mesh: HexMesh,
    triangles: Sequence[NDArray[np.float64]],
    surfaces: "Sequence[trimesh.Trimesh]",
    names: Sequence[str],
) -> NDArray[np.int64]:
    """Number of the part of each voxel, from 1.

    Raises:
        PartError: If voxels of two parts are one, or have a corner in common.
    """
    sizes, origin = np.array(mesh.spacing), np.array(mesh.origin)
    nx, ny, nz = mesh.mask.shape
    from scipy import ndimage

    labels, count = ndimage.label(mesh.mask, np.ones((3, 3, 3)))  # pyright: ignore[reportGeneralTypeIssues]
    patches = np.asarray(labels, dtype=np.int64)
    owner = np.zeros(int(count) + 1, dtype=np.int64)
    for part, (corners, surface) in enumerate(zip(triangles, surfaces, strict=True), start=1):
        own = fill(corners, (nx, ny, nz), sizes, origin, surface.is_watertight).mask & mesh.mask
        found = np.unique(patches[own])
        if not len(found):
            raise PartError(
                f"{names[part - 1]}: no voxel centre lies inside; use a pitch below its wall "
                f"thickness"
            )
        other = owner[found].max()
        if other:
            raise PartError(
                f"{names[other - 1]} and {names[part - 1]} overlap or have voxels that touch; move "
                f"them apart in their files, give --gap, or use a finer pitch; parts that are to "
                f"be built as one belong into one file"
            )
        owner[found] = part
    return owner[patches]
