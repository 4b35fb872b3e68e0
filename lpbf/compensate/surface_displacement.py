"""How the points of a surface move when the part inside it is built."""

import warnings
from collections.abc import Callable

import numpy as np
import trimesh
from numpy.typing import NDArray

from lpbf.compensate.voxel_field import VoxelField
from lpbf.core.errors import PartWarning
from lpbf.core.mesh import HexMesh
from lpbf.core.part import part_name
from lpbf.core.voxelize import voxelize

Simulator = Callable[[HexMesh], NDArray[np.float64]]
"""From a part to its nodes' displacement, [N, 3] in mm."""
Pitch = float | tuple[float, float, float]


def surface_displacement(
    surface: trimesh.Trimesh, pitch: Pitch, simulator: Simulator, islands: str = "drop"
) -> tuple[NDArray[np.float64], HexMesh]:
    """Displacement of the vertices of a surface, [V, 3] in mm, and the voxels inside it.

    Voxelising centres a part and puts it on the plate; the vertices follow for the look-up alone,
    so that they and what is returned stay in the part's own frame.

    Args:
        surface: Of the part, mm.
        pitch: Edge length of the voxels, mm.
        simulator: Gives the displacement of the voxels' nodes.
        islands: Of :func:`lpbf.voxelize`.
    """
    mesh = voxelize(surface, pitch, islands=islands)
    low, high = np.asarray(surface.bounds)
    # Rows at the bottom without a voxel are left out and the rest comes to lie on the plate.
    planned = max(round(float(high[2] - low[2]) / mesh.spacing[2]), 1)
    missing = (planned - mesh.mask.shape[2]) * mesh.spacing[2]
    offset = np.array([*(low + high)[:2] / 2, low[2] + missing])
    moved, distance = VoxelField(mesh, simulator(mesh)).at(surface.vertices - offset)
    far = distance > 1
    if far.any():
        warnings.warn(
            f"{part_name(surface)}: {int(far.sum())} of {len(far)} surface points are up to "
            f"{distance.max():.2g} voxels away from the nearest one (thin details are not "
            f"resolved) and move as that one does; use a finer pitch",
            PartWarning,
            stacklevel=3,
        )
    return moved, mesh
