"""Nodal fields of a voxel mesh at points on and near it."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from lpbf.core.element import NODES
from lpbf.core.mesh import HexMesh

# Voxels among whose boxes the nearest one is looked for; their centres are the nearest ones.
_CANDIDATES = 8


class VoxelField:
    """A field given at the nodes of a voxel mesh, trilinear within each voxel.

    Outside, the nearest voxel's trilinear function goes on for up to one voxel, and is constant
    from there on: a part's surface lies up to half a voxel outside of its voxels. A linear field
    is met exactly. Points on both sides of a gap follow the voxels of their own side.

    Args:
        mesh: The mesh.
        values: At the nodes, [N, C].
    """

    def __init__(self, mesh: HexMesh, values: NDArray[np.float64]) -> None:
        self.mesh = mesh
        self.values = values
        self._centers = KDTree(mesh.cell_index + 0.5)

    def at(self, points: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Values [P, C] at points [P, 3], and how many voxels outside each point lies, [P]."""
        grid = (points - np.array(self.mesh.origin)) / np.array(self.mesh.spacing)
        candidates = min(_CANDIDATES, self.mesh.num_cells)
        near = self._centers.query(grid, k=candidates)[1].reshape(len(grid), candidates)
        inside = grid[:, None] - self.mesh.cell_index[near]
        outside = np.maximum(np.maximum(-inside, inside - 1), 0)
        distance = np.linalg.norm(outside, axis=2)
        # Where boxes are equally near, as on a face between two, the nearer centre comes first.
        best = np.round(distance, 9).argmin(axis=1)
        row = np.arange(len(grid))
        local = 2 * inside[row, best].clip(-1, 2) - 1
        weights = (1 + local[:, None] * NODES).prod(axis=2) / 8
        corners = self.values[self.mesh.cells[near[row, best]]]
        return np.einsum("pn,pnc->pc", weights, corners), distance[row, best]
