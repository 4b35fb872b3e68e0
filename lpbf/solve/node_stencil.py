"""Assembled operator of a coarse grid: 27 blocks of 3 x 3 at each node."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lpbf.solve import kernels_numba, kernels_torch
from lpbf.solve.grid import CORNERS, Grid


class NodeStencil:
    """Sum of cell matrices on a grid, zero at the beginning.

    Attributes:
        values: [N, 3, 81], N/mm; the 81 columns are x, y, z of the 27 nodes at and around a node.
    """

    def __init__(self, grid: Grid, device: torch.device):
        self.kernels = kernels_numba if device.type == "cpu" else kernels_torch
        self.values = torch.zeros(grid.num_nodes, 3, 81, dtype=torch.float64, device=device)
        self._neighbours = torch.from_numpy(grid.neighbours()).to(device)
        self._corners = torch.from_numpy(grid.corners).to(device)
        self.arrays: tuple[NDArray, ...] = ()  # of the compiled loops
        if self.kernels.COMPILED:
            self.arrays = (self.values.numpy(), self._neighbours.numpy())
        neighbour = (CORNERS - CORNERS[:, None] + 1) @ [1, 3, 9]  # corner b relative to corner a
        # Position of the entry (a, r, b, c) of a cell's matrix, counted from node a's first value.
        r, c = np.arange(3)[:, None, None], np.arange(3)
        offset = r[None] * 81 + 3 * neighbour[:, None, :, None] + c
        self._offset = torch.from_numpy(offset.reshape(8, 72)).to(device)

    def add_cells(self, cells: Tensor, matrices: Tensor) -> None:
        """Add the matrices [n, 24, 24] of cells [n], their nodes in lexicographic order."""
        start = 243 * self._corners[cells]
        place = start[:, :, None] + self._offset
        self.values.view(-1).index_add_(0, place.flatten(), matrices.flatten())

    def diagonal(self, nodes: slice) -> Tensor:
        """Diagonal blocks, [n, 3, 3]."""
        return self.values[nodes, :, 39:42]

    def dense(self, size: int) -> Tensor:
        """Matrix of the first ``size`` nodes, [3 size, 3 size]."""
        near = self._neighbours[:size].long()
        known = near < size
        out = self.values.new_zeros(size, 3, size, 3)
        rows = torch.arange(size, device=near.device)[:, None].expand_as(near)
        blocks = self.values[:size].unflatten(2, (27, 3)).permute(0, 2, 1, 3)
        out.permute(0, 2, 1, 3)[rows[known], near[known]] = blocks[known]
        return out.reshape(3 * size, 3 * size)

    def multiply(self, u: Tensor, out: Tensor, size: int) -> None:
        """Write A u to ``out``, both [3, N + 1]."""
        self.kernels.multiply_node_stencil(u, out, self.values, self._neighbours, size)
