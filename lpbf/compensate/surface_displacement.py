"""Displacement of a surface from that of the voxels inside it."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
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

Simulator = Callable[[HexMesh], tuple[NDArray[np.float64], NDArray[np.bool_] | None]]
"""Function from a mesh to its nodal displacement, [N, 3] in mm, and the voxels that the release
removes, [E]; None for none."""
Pitch = float | tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class MovedSurface:
    """Displacement of a surface.

    Attributes:
        shift: Displacement of the vertices, [V, 3], mm.
        lost: Vertices on voxels that the release removes, [V]. They move like the nearest voxel
            that is left.
        mesh: The voxels inside the surface.
    """

    shift: NDArray[np.float64]
    lost: NDArray[np.bool_]
    mesh: HexMesh


def surface_displacement(
    surface: trimesh.Trimesh,
    pitch: Pitch,
    simulator: Simulator,
    islands: str = "drop",
    build_volume: tuple[float, float, float] = BUILD_VOLUME,
    supports: Sequence[trimesh.Trimesh | str | Path] = (),
) -> MovedSurface:
    """Displacement of the vertices of a surface, and the voxels inside it.

    Args:
        surface: Surface of the part at any position, mm.
        pitch: Edge length of the voxels, mm.
        simulator: Returns the displacement of the voxels' nodes, and the removed voxels.
        islands: See :func:`lpbf.voxelize`.
        build_volume: Largest extents of the part, mm.
        supports: Support bodies in the surface's coordinates.
    """
    mesh = voxelize(surface, pitch, islands=islands, build_volume=build_volume, supports=supports)
    points = surface.vertices - part_offset(surface, mesh)
    displacement, removed = simulator(mesh)
    shift, distance = VoxelField(mesh, displacement).at(points)
    lost = np.zeros(len(points), dtype=bool)
    if removed is not None and removed.any():
        # Nodes of removed voxels have values from before the cut.
        mask = mesh.mask.copy()
        mask[tuple(mesh.cell_index[removed].T)] = False
        left = HexMesh.from_mask(mask, mesh.spacing, mesh.origin)
        shift, beyond = VoxelField(left, displacement[left.nodes_in(mesh)]).at(points)
        lost = beyond > distance + 1e-9
    far = distance > 1
    if far.any():
        text = (
            f"{part_name(surface)}: {int(far.sum())} of {len(far)} surface points are up to "
            f"{distance.max():.2g} voxels away from the nearest voxel and get its displacement "
            f"(thin details are not resolved); use a finer pitch"
        )
        warnings.warn(text, PartWarning, stacklevel=3)
    return MovedSurface(shift, lost, mesh)
