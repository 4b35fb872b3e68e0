"""Cells and nodes of one level of a voxel grid, and how a coarser level lies over it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Corners of a cell by corner bits (x = 1, y = 2, z = 4), and the 27 nodes around one, x fastest.
_CORNERS = np.array([[n & 1, n >> 1 & 1, n >> 2 & 1] for n in range(8)])
_AROUND = np.array([[n % 3 - 1, n // 3 % 3 - 1, n // 9 - 1] for n in range(27)])


@dataclass(frozen=True, eq=False)
class Grid:
    """Cells and nodes, both numbered by z, then y, then x.

    Attributes:
        cell_index: Grid position of each cell, [E, 3].
        node_index: Grid position of each node, [N, 3].
        corners: Nodes of each cell in the order of corner bits, [E, 8].
    """

    cell_index: NDArray[np.int64]
    node_index: NDArray[np.int64]
    corners: NDArray[np.int64]

    @classmethod
    def of_cells(cls, cell_index: NDArray[np.int64]) -> "Grid":
        """The grid of the cells at these positions, sorted by z, then y, then x; none twice."""
        around = cell_index[:, None] + _CORNERS
        keys = _key(around)
        nodes, corners = np.unique(keys, return_inverse=True)
        return cls(cell_index, _unkey(nodes), corners.reshape(keys.shape))

    def coarsened(self) -> "tuple[Grid, NDArray[np.int64], NDArray[np.int64]]":
        """The grid of twice the spacing, and each cell's parent and place in it, [E] (bits)."""
        parent_index = self.cell_index // 2
        keys, parent = np.unique(_key(parent_index), return_inverse=True)
        place = (self.cell_index % 2) @ [1, 2, 4]
        return Grid.of_cells(_unkey(keys)), parent, place

    def parents(self, coarse: "Grid") -> NDArray[np.int32]:
        """Eight coarse nodes that each node is the mean of, [N, 8]; they repeat where it is one."""
        return coarse.find((self.node_index[:, None] + _CORNERS) // 2)

    def children(self, coarse: "Grid") -> NDArray[np.int32]:
        """The 27 nodes of this grid at and around each coarse node, [Nc, 27]; N where absent."""
        return self.find(2 * coarse.node_index[:, None] + _AROUND)

    def neighbors(self) -> NDArray[np.int32]:
        """The 27 nodes at and around each node, [N, 27]; N where absent."""
        return self.find(self.node_index[:, None] + _AROUND)

    def find(self, index: NDArray[np.int64]) -> NDArray[np.int32]:
        """Numbers of the nodes at these positions [..., 3]; N where there is none."""
        known, wanted = _key(self.node_index), _key(index)
        place = np.searchsorted(known, wanted).clip(0, len(known) - 1)
        return np.where(known[place] == wanted, place, len(known)).astype(np.int32)

    @property
    def num_nodes(self) -> int:
        return len(self.node_index)


_OFFSET, _BITS = 4, 20  # room for neighbours below zero; a million cells a direction


def _key(index: NDArray[np.int64]) -> NDArray[np.int64]:
    x, y, z = np.moveaxis(index + _OFFSET, -1, 0)
    return (z << 2 * _BITS) | (y << _BITS) | x


def _unkey(keys: NDArray[np.int64]) -> NDArray[np.int64]:
    mask = (1 << _BITS) - 1
    return np.stack([keys & mask, keys >> _BITS & mask, keys >> 2 * _BITS], axis=-1) - _OFFSET
