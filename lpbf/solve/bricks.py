"""The stiffness of equal bricks on a voxel grid, matrix-free."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lpbf.solve import kernels_numba, kernels_torch
from lpbf.solve.brick_modes import CORNER, mode_blocks
from lpbf.solve.grid import Grid

_PIECE = 2048  # cells that a thread takes at a time


def by_corner(stiffness: NDArray[np.float64]) -> NDArray[np.float64]:
    """A stiffness [24, 24] with its nodes in the order of corner bits instead of VTK's."""
    dofs = (3 * CORNER[:, None] + np.arange(3)).ravel()
    return stiffness[np.ix_(dofs, dofs)]


class Bricks:
    """K of the leading cells of a grid.

    Args:
        grid: Cells and nodes.
        stiffness: Of a cell, [24, 24] in VTK's order of nodes, N/mm.
        factor: On the stiffness of each cell, [E], or None.
        device: Where the tensors live.
    """

    def __init__(
        self,
        grid: Grid,
        stiffness: NDArray[np.float64],
        factor: NDArray[np.float64] | None,
        device: torch.device,
    ):
        self.kernels = kernels_numba if device.type == "cpu" else kernels_torch
        self._corners = torch.from_numpy(np.ascontiguousarray(grid.corners.T, np.int32)).to(device)
        self._blocks = torch.from_numpy(mode_blocks(stiffness)).to(device)
        none = np.zeros(0)
        self._factor = torch.from_numpy(none if factor is None else factor).to(device)
        # Pieces of whole rows of voxels: a piece shares nodes with its neighbours only.
        rows = np.flatnonzero(np.diff(grid.cell_index[:, 2], prepend=-1))
        self._bounds = [0]
        for row in rows.tolist():
            if row - self._bounds[-1] >= _PIECE:
                self._bounds.append(row)
        self._active: list[int] = []

    def take(self, num_cells: int) -> None:
        """Sets how many cells stand; whole rows of voxels."""
        self._active = [*(b for b in self._bounds if b < num_cells), num_cells]

    def multiply(self, u: Tensor, out: Tensor, size: int) -> None:
        """out = K u, both [3, N + 1]; nodes from ``size`` on are not touched."""
        out[:, :size] = 0
        self.kernels.multiply_bricks(
            u, out, self._corners, self._blocks, self._factor, self._active
        )
