"""Position of a voxel mesh in the coordinates of its part."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lpbf.core.mesh import HexMesh

if TYPE_CHECKING:
    import trimesh


def part_offset(surface: "trimesh.Trimesh", mesh: HexMesh) -> NDArray[np.float64]:
    """Position of the mesh's point (0, 0, 0) in the coordinates of its surface, [3], mm.

    :func:`lpbf.voxelize` centres the part, cuts off bottom rows without voxels, and puts it on the
    plate.
    """
    low, high = np.asarray(surface.bounds)
    rows = max(round(float(high[2] - low[2]) / mesh.spacing[2]), 1)
    cut_off = (rows - mesh.mask.shape[2]) * mesh.spacing[2]
    return np.array([*(low + high)[:2] / 2, low[2] + cut_off])
