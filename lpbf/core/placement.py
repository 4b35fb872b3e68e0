"""Placement of a part on the plate."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lpbf.core.errors import PartError
from lpbf.core.mesh import HexMesh
from lpbf.core.orient import find_orientation
from lpbf.core.part import part_name

if TYPE_CHECKING:
    import trimesh

PLACES = ("drop", "as-is", "orient")
"""Placements of a part: drop it to the plate, leave it at the height of its file, or orient it."""


def rotate_part(surface: "trimesh.Trimesh", rotation: NDArray[np.float64]) -> "trimesh.Trimesh":
    """A copy of a surface, rotated about the origin; the surface itself for no rotation."""
    if np.array_equal(rotation, np.eye(3)):
        return surface
    matrix = np.eye(4)
    matrix[:3, :3] = rotation
    return surface.copy().apply_transform(matrix)


def place_rotation(surface: "trimesh.Trimesh", place: str) -> NDArray[np.float64]:
    """Rotation [3, 3] of a placement, one of :data:`PLACES`."""
    return find_orientation(surface) if place == "orient" else np.eye(3)


def plate_height(surface: "trimesh.Trimesh", place: str) -> float:
    """Height of the plate in the coordinates of a rotated surface, mm.

    Raises:
        PartError: If the part is left where it is and reaches below the plate.
    """
    low, high = (float(z) for z in np.asarray(surface.bounds)[:, 2])
    if place != "as-is":
        return low
    if low < -1e-6 * (high - low):
        raise PartError(
            f"{part_name(surface)}: reaches {-low:.4g} mm below the plate z = 0, where it is left "
            f"by the placement 'as-is'; move it in its file, or choose --place drop"
        )
    return 0.0


def part_offset(surface: "trimesh.Trimesh", mesh: HexMesh) -> NDArray[np.float64]:
    """Position of the mesh's point (0, 0, 0) in the coordinates of its surface, [3], mm.

    Args:
        surface: The surface.
        mesh: The mesh that :func:`lpbf.voxelize` made of it.

    Raises:
        ValueError: If the mesh has no placement, or not the orientation of the surface.
    """
    motion = mesh.placement
    if motion is None or motion.is_rotated:
        got = "a mesh without a placement" if motion is None else f"one that is {motion}"
        raise ValueError(
            f"{part_name(surface)}: expected a mesh of lpbf.voxelize in the orientation of its "
            f"surface (got {got}); rotate the surface"
        )
    return -motion.translation
