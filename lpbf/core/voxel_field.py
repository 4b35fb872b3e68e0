"""Interpolation of nodal fields at points in and near a voxel mesh."""

import numpy as np
from numpy.typing import NDArray

from lpbf.core.element import NODES
from lpbf.core.mesh import HexMesh

# Number of voxels, by the distance of their centres, among which the nearest boxes are searched.
_CANDIDATES = 32
# Voxels up to this share farther away than the nearest one count outside. Below 0.5, so that a
# point at two fifths of a gap follows the voxels of its side alone.
_BLEND = 0.4
# Points in a chunk, which bounds the memory.
_CHUNK = 20_000


class VoxelField:
    """A nodal field of a voxel mesh, trilinear within each voxel and continuous.

    Outside, the trilinear functions of the nearest voxels are extrapolated by up to one voxel and
    constant beyond: the surface of a part lies up to half a voxel outside its voxels. Voxels that
    are up to 40 % farther away than the nearest one share in the value, with weights that fall to
    zero, so that the extension does not jump where another voxel becomes the nearest. A linear
    field is reproduced exactly. Points on either side of a gap follow the voxels of their side.

    Args:
        mesh: The mesh.
        values: Values at the nodes, [N, C].
    """

    def __init__(self, mesh: HexMesh, values: NDArray[np.float64]) -> None:
        from scipy.spatial import KDTree

        self.mesh = mesh
        self.values = values
        self._centers = KDTree(mesh.cell_index + 0.5)

    @classmethod
    def of_cells(
        cls, mesh: HexMesh, values: NDArray[np.float64], cells: NDArray[np.bool_]
    ) -> "VoxelField":
        """Field of some of the voxels: the others, such as removed ones, have no part in it.

        Args:
            mesh: The mesh.
            values: Values at the nodes, [N, C].
            cells: Which voxels, [E]; at least one.
        """
        mask = np.zeros_like(mesh.mask)
        mask[tuple(mesh.cell_index[cells].T)] = True
        some = HexMesh.from_mask(mask, mesh.spacing, mesh.origin)
        return cls(some, values[some.nodes_in(mesh)])

    def gradient(self) -> "VoxelField":
        """Field of the gradient: at a node the mean of those in the middles of its voxels.

        Its values [N, 3 C] are the derivatives of each component along x, y and z. That of a linear
        field is exact.
        """
        slopes = NODES / (4 * np.array(self.mesh.spacing))
        cells = self.mesh.cells
        middles = np.einsum("nd,enc->ecd", slopes, self.values[cells]).reshape(len(cells), -1)
        count = np.bincount(cells.ravel())
        sums = [np.bincount(cells.ravel(), np.repeat(one, 8)) for one in middles.T]
        return VoxelField(self.mesh, np.stack(sums, axis=1) / count[:, None])

    def at(self, points: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Interpolate at points [P, 3]: values [P, C], and distances to the nearest voxel, [P].

        The distances are in voxels, 0 inside.
        """
        grid = (points - np.array(self.mesh.origin)) / np.array(self.mesh.spacing)
        values, distance = np.empty((len(grid), self.values.shape[1])), np.empty(len(grid))
        for start in range(0, len(grid), _CHUNK):
            part = slice(start, start + _CHUNK)
            values[part], distance[part] = self._at(grid[part])
        return values, distance

    def _at(self, grid: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Values and distances at points in units of voxels, counted from the grid's corner."""
        candidates = min(_CANDIDATES, self.mesh.num_cells)
        near = self._centers.query(grid, k=candidates)[1].reshape(len(grid), candidates)
        corner = self.mesh.cell_index[near]
        outside = grid[:, None] - grid[:, None].clip(corner, corner + 1)
        distances = np.linalg.norm(outside, axis=2)
        row, best = np.arange(len(grid)), distances.argmin(axis=1)
        distance = distances[row, best]
        # Points beyond one voxel have the value at one voxel's distance.
        beyond = 1 - 1 / np.maximum(distance, 1)
        inner = grid - beyond[:, None] * outside[row, best]
        # Within the voxels, only those that touch the point count, whose functions agree there.
        reach = _BLEND * distance + 1e-9
        weight = (1 - (distances - distance[:, None]) / reach[:, None]).clip(0) ** 2
        weight /= weight.sum(axis=1, keepdims=True)
        point, candidate = np.nonzero(weight)
        local = 2 * (inner[point] - corner[point, candidate]) - 1
        shares = (1 + local[:, None] * NODES).prod(axis=2) / 8
        nodes = self.mesh.cells[near[point, candidate]]
        extended = np.einsum("pn,pnc->pc", shares, self.values[nodes])
        extended *= weight[point, candidate][:, None]
        # np.nonzero sorts by point, and each point has a voxel.
        return np.add.reduceat(extended, np.searchsorted(point, row)), distance
