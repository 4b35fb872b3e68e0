"""Interpolation of nodal fields at points in and near a voxel mesh."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from lpbf.core.element import NODES
from lpbf.core.mesh import HexMesh

# Number of voxels, by the distance of their centres, among which the nearest box is searched.
_CANDIDATES = 8


class VoxelField:
    """A nodal field of a voxel mesh, trilinear within each voxel.

    Outside, the trilinear function of the nearest voxel is extrapolated by up to one voxel and
    constant beyond: the surface of a part lies up to half a voxel outside its voxels. A linear
    field is reproduced exactly. Points on either side of a gap follow the voxels of their side.

    Args:
        mesh: The mesh.
        values: Values at the nodes, [N, C].
    """

    def __init__(self, mesh: HexMesh, values: NDArray[np.float64]) -> None:
        self.mesh = mesh
        self.values = values
        self._centers = KDTree(mesh.cell_index + 0.5)

    def at(self, points: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Interpolate at points [P, 3]: values [P, C], and distances to the nearest voxel, [P].

        The distances are in voxels, 0 inside.
        """
        grid = (points - np.array(self.mesh.origin)) / np.array(self.mesh.spacing)
        candidates = min(_CANDIDATES, self.mesh.num_cells)
        near = self._centers.query(grid, k=candidates)[1].reshape(len(grid), candidates)
        inside = grid[:, None] - self.mesh.cell_index[near]
        outside = np.maximum(np.maximum(-inside, inside - 1), 0)
        distance = np.linalg.norm(outside, axis=2)
        # Of equally near boxes, as on a common face, the one with the nearer centre comes first.
        best = np.round(distance, 9).argmin(axis=1)
        row = np.arange(len(grid))
        local = 2 * inside[row, best].clip(-1, 2) - 1
        weights = (1 + local[:, None] * NODES).prod(axis=2) / 8
        corners = self.values[self.mesh.cells[near[row, best]]]
        return np.einsum("pn,pnc->pc", weights, corners), distance[row, best]
