"""Displacement of a surface from that of the voxels inside it."""

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import trimesh
from numpy.typing import NDArray

from lpbf.core.errors import PartWarning
from lpbf.core.mesh import HexMesh
from lpbf.core.part import part_name
from lpbf.core.placement import part_offset
from lpbf.core.voxel_field import VoxelField
from lpbf.core.voxelize import BUILD_VOLUME, voxelize

Simulator = Callable[[HexMesh], NDArray[np.float64]]
"""Function from a mesh to its nodal displacement, [N, 3] in mm."""
Pitch = float | tuple[float, float, float]


def surface_displacement(
    surface: trimesh.Trimesh,
    pitch: Pitch,
    simulator: Simulator,
    islands: str = "drop",
    build_volume: tuple[float, float, float] = BUILD_VOLUME,
    supports: Sequence[trimesh.Trimesh | str | Path] = (),
) -> tuple[NDArray[np.float64], HexMesh]:
    """Displacement of the vertices of a surface, [V, 3] in mm, and the voxels inside it.

    Args:
        surface: Surface of the part at any position, mm.
        pitch: Edge length of the voxels, mm.
        simulator: Returns the displacement of the voxels' nodes.
        islands: See :func:`lpbf.voxelize`.
        build_volume: Largest extents of the part, mm.
        supports: Support bodies in the surface's coordinates.
    """
    mesh = voxelize(surface, pitch, islands=islands, build_volume=build_volume, supports=supports)
    points = surface.vertices - part_offset(surface, mesh)
    shift, distance = VoxelField(mesh, simulator(mesh)).at(points)
    far = distance > 1
    if far.any():
        text = (
            f"{part_name(surface)}: {int(far.sum())} of {len(far)} surface points are up to "
            f"{distance.max():.2g} voxels away from the nearest voxel and get its displacement "
            f"(thin details are not resolved); use a finer pitch"
        )
        warnings.warn(text, PartWarning, stacklevel=3)
    return shift, mesh
