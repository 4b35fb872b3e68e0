"""Matrix-free stiffness of bricks of equal size on a voxel grid."""

from copy import copy

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lpbf.solve import kernels_numba, kernels_torch
from lpbf.solve.brick_modes import mode_blocks
from lpbf.solve.grid import Grid

_CHUNK = 2048  # cells that a thread takes at a time


class BrickStiffness:
    """Stiffness K of the active cells, a leading range of the grid's cells.

    Args:
        grid: Cells and nodes.
        stiffness: Stiffness of a cell, [24, 24] in VTK's order of nodes, N/mm; or [K, 24, 24] for
            several kinds of cells.
        factor: Factor on each cell's stiffness, [E]; None for 1.
        device: Device of the tensors.
        kind: Kind of each cell, [E]; None if there is one.
    """

    def __init__(
        self,
        grid: Grid,
        stiffness: NDArray[np.float64],
        factor: NDArray[np.float64] | None,
        device: torch.device,
        kind: NDArray[np.int8] | None = None,
    ):
        self.kernels = kernels_numba if device.type == "cpu" else kernels_torch
        corners = grid.corners.T
        self._order: NDArray[np.int64] | None = None
        if kind is not None:
            # Only whole rows are activated, so the kinds can be sorted within each row.
            order = self._order = np.lexsort((kind, grid.cell_index[:, 2]))
            corners, kind = corners[:, order], kind[order]
            factor = None if factor is None else factor[order]
        self._corners = torch.from_numpy(np.ascontiguousarray(corners, np.int32)).to(device)
        blocks = np.stack([mode_blocks(matrix) for matrix in stiffness.reshape(-1, 24, 24)])
        self._blocks = torch.from_numpy(blocks).to(device)
        self._kind = torch.from_numpy(np.zeros(0, np.int8) if kind is None else kind).to(device)
        self._factor = torch.from_numpy(np.zeros(0) if factor is None else factor).to(device)
        # Chunks are whole rows of voxels, so that only consecutive chunks share nodes.
        rows = np.flatnonzero(np.diff(grid.cell_index[:, 2], prepend=-1))
        self._bounds = [0]
        for row in rows.tolist():
            if row - self._bounds[-1] >= _CHUNK:
                self._bounds.append(row)
        self._active_bounds = np.zeros(1, np.int64)
        self.arrays: tuple[NDArray, ...] = ()  # of the compiled loops, for the active cells

    def activate(self, num_cells: int) -> None:
        """Set the number of active cells, which must be whole rows of voxels."""
        bounds = [*(b for b in self._bounds if b < num_cells), num_cells]
        self._active_bounds = np.array(bounds)
        if self.kernels.COMPILED:
            tensors = self._corners, self._blocks, self._kind, self._factor
            self.arrays = (*(t.numpy() for t in tensors), self._active_bounds)

    def scaled(self, factor: Tensor) -> "BrickStiffness":
        """The active cells with their stiffness multiplied by the factors [n]."""
        own = torch.ones(self._corners.shape[1], dtype=factor.dtype, device=factor.device)
        own[: len(factor)] = factor
        if self._order is not None:
            own = own[torch.from_numpy(self._order).to(own.device)]
        other = copy(self)
        other._factor = own * self._factor if len(self._factor) else own
        other.activate(len(factor))
        return other

    @property
    def takes_one_thread(self) -> bool:
        """Whether there are too few active cells for several threads."""
        return bool(self._active_bounds[-1] < kernels_numba.FEW_CELLS)

    def multiply(self, u: Tensor, out: Tensor, size: int) -> None:
        """Write K u to ``out``, both [3, N + 1]; nodes from ``size`` on are left unchanged."""
        out[:, :size] = 0
        arrays = self._corners, self._blocks, self._kind, self._factor
        self.kernels.multiply_bricks(u, out, *arrays, self._active_bounds)
