"""Cells and nodes of one level of a voxel grid, and their relation to the coarser level."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Offsets of a cell's corners and of the 27 nodes at and around a node; x varies fastest.
CORNERS = np.array([[n & 1, n >> 1 & 1, n >> 2 & 1] for n in range(8)])
_AROUND = np.array([[n % 3 - 1, n // 3 % 3 - 1, n // 9 - 1] for n in range(27)])


@dataclass(frozen=True, eq=False)
class Grid:
    """Cells and nodes, both numbered by z, then y, then x.

    Attributes:
        cell_index: Grid position of each cell, [E, 3].
        node_index: Grid position of each node, [N, 3].
        corners: Nodes of each cell in lexicographic order, [E, 8].
    """

    cell_index: NDArray[np.int64]
    node_index: NDArray[np.int64]
    corners: NDArray[np.int64]

    @classmethod
    def from_cells(cls, cell_index: NDArray[np.int64]) -> "Grid":
        """Grid of the cells at distinct positions [E, 3], sorted by z, then y, then x."""
        around = cell_index[:, None] + CORNERS
        keys = _key(around)
        nodes, corners = np.unique(keys, return_inverse=True)
        return cls(cell_index, _unkey(nodes), corners.reshape(keys.shape))

    def coarsen(self) -> "tuple[Grid, NDArray[np.int64], NDArray[np.int64]]":
        """Grid of twice the spacing, the parent of each cell [E], and its octant in it [E]."""
        parent_index = self.cell_index // 2
        keys, parent = np.unique(_key(parent_index), return_inverse=True)
        octant = (self.cell_index % 2) @ [1, 2, 4]
        return Grid.from_cells(_unkey(keys)), parent, octant

    def parents(self, coarse: "Grid") -> NDArray[np.int32]:
        """Eight coarse nodes whose mean interpolates each node, [N, 8]; they may repeat."""
        return coarse.find_nodes((self.node_index[:, None] + CORNERS) // 2)

    def children(self, coarse: "Grid") -> NDArray[np.int32]:
        """The 27 nodes of this grid at and around each coarse node, [Nc, 27]; N where absent."""
        return self.find_nodes(2 * coarse.node_index[:, None] + _AROUND)

    def neighbours(self) -> NDArray[np.int32]:
        """The 27 nodes at and around each node, [N, 27]; N where absent."""
        return self.find_nodes(self.node_index[:, None] + _AROUND)

    def find_nodes(self, index: NDArray[np.int64]) -> NDArray[np.int32]:
        """Numbers of the nodes at these positions [..., 3]; N where absent."""
        known, wanted = _key(self.node_index), _key(index)
        place = np.searchsorted(known, wanted).clip(0, len(known) - 1)
        return np.where(known[place] == wanted, place, len(known)).astype(np.int32)

    @property
    def num_nodes(self) -> int:
        return len(self.node_index)


# A position's key has 20 bits a direction; the offset leaves room for neighbours below zero.
_OFFSET, _BITS = 4, 20


def _key(index: NDArray[np.int64]) -> NDArray[np.int64]:
    x, y, z = np.moveaxis(index + _OFFSET, -1, 0)
    return (z << 2 * _BITS) | (y << _BITS) | x


def _unkey(keys: NDArray[np.int64]) -> NDArray[np.int64]:
    mask = (1 << _BITS) - 1
    return np.stack([keys & mask, keys >> _BITS & mask, keys >> 2 * _BITS], axis=-1) - _OFFSET
