"""The surface of a part after its build."""

import warnings
from typing import TYPE_CHECKING

import numpy as np

from lpbf.core.errors import PartWarning
from lpbf.core.part import part_name
from lpbf.core.result import Result
from lpbf.core.voxel_field import VoxelField

if TYPE_CHECKING:
    import trimesh


def deformed_surface(
    result: Result, part: "trimesh.Trimesh", number: int | None = None
) -> "trimesh.Trimesh":
    """The surface of a part with its displacement, in the coordinates of the part's file.

    Its triangles and their order are those of the part. A vertex moves like the voxels at it, see
    :class:`lpbf.core.voxel_field.VoxelField`, and like the nearest one that the release leaves.
    Vertices that are more than a voxel away from the nearest voxel give a :class:`PartWarning`.

    Args:
        result: The simulated part.
        part: The surface that was voxelised, in mm.
        number: Number of the part on a plate of several, from 1; None for a single part.

    Raises:
        ValueError: If the mesh was not made from a surface, or the number does not fit.
    """
    mesh, cells = result.mesh, ~result.removed
    if mesh.plate is not None:
        if number is None or not 1 <= number <= len(mesh.plate.motions):
            raise ValueError(
                f"expected the number of a part from 1 to {len(mesh.plate.motions)} (got {number})"
            )
        motion, cells = mesh.plate.motions[number - 1], cells & (result.part_number == number)
    elif number is not None:
        raise ValueError(f"expected no number of a single part (got {number}); leave it out")
    elif mesh.placement is None:
        raise ValueError("expected a mesh of lpbf.voxelize (got one that has no surface)")
    else:
        motion = mesh.placement
    if not cells.any():
        raise ValueError(f"{part_name(part)}: the release leaves no voxel of it; move its cuts")
    field = VoxelField.of_cells(mesh, result.displacement, cells)
    vertices = np.asarray(part.vertices)
    shift, distance = field.at(motion.apply(vertices))
    far = distance > 1
    if far.any():
        text = (
            f"{part_name(part)}: {int(far.sum())} of {len(far)} vertices are up to "
            f"{distance.max():.2g} voxels away from the nearest voxel and get its displacement; "
            f"use a finer pitch"
        )
        warnings.warn(text, PartWarning, stacklevel=2)
    moved = part.copy()
    moved.vertices = vertices + motion.rotate_back(shift)
    return moved
