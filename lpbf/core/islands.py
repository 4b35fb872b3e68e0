"""Voxels that nothing holds at the time when their layer is built."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lpbf.core.mesh import HexMesh


@dataclass(frozen=True)
class Island:
    """A connected patch of one voxel layer that starts in the powder.

    Attributes:
        layer: Index of the voxel layer, from 0 at the plate.
        num_voxels: Voxels of the patch.
        center: Centre of the patch, mm.
    """

    layer: int
    num_voxels: int
    center: tuple[float, float, float]

    def __str__(self) -> str:
        x, y, z = self.center
        return (
            f"{self.num_voxels} voxels at layer {self.layer} around ({x:.4g}, {y:.4g}, {z:.4g}) mm"
        )


def drop_islands(mesh: HexMesh) -> tuple[NDArray[np.bool_], list[Island]]:
    """The voxels that are held all through the build, and the islands among the others.

    Built upwards, a patch of a layer (voxels that share faces) is held if any of its voxels lies
    on the plate or on a held voxel. A patch that shares only an edge or a corner with held
    voxels could swing, and counts as an island.

    Returns:
        The held voxels, bool [nx, ny, nz], and the islands from the plate upwards.
    """
    held = mesh.mask.copy()
    islands = []
    for k in range(1, held.shape[2]):
        patches, count = ndimage.label(held[:, :, k])  # pyright: ignore[reportGeneralTypeIssues]
        if not count:
            continue
        touching = np.unique(patches[held[:, :, k - 1]])
        for patch in np.setdiff1d(np.arange(1, count + 1), touching):
            where = patches == patch
            index = np.array([*(axis.mean() for axis in np.nonzero(where)), k])
            center = (index + 0.5) * np.array(mesh.spacing) + np.array(mesh.origin)
            x, y, z = center.tolist()
            islands.append(Island(k, int(where.sum()), (x, y, z)))
            held[:, :, k][where] = False
    return held, islands
