"""Direct solution for a voxel part of small cross-sections that grows layer by layer."""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor

from lpbf.core.threads import one_thread
from lpbf.solve.brick_modes import to_lexicographic
from lpbf.solve.brick_stiffness import BrickStiffness
from lpbf.solve.grid import Grid
from lpbf.solve.linear_map import LinearMap
from lpbf.solve.symmetric_inverse import symmetric_inverse, symmetric_solver


class PlaneElimination:
    """Inverse of the stiffness of a clamped part, to rounding, as a preconditioner M r = K^-1 r.

    The planes of nodes are eliminated one after the other from the bottom up. With the stiffness
    A_p of a plane's nodes, and C_p between them and those of the next plane,

        S_1 = A_1,    S_{p+1} = A_{p+1} - C_p^T S_p^-1 C_p

    A new layer changes only the topmost S. The inverses are dense: memory and time grow with the
    square and the cube of the nodes in a plane, but neither with the slenderness of walls and
    struts nor with the way they branch. Everything runs on one thread, so that the result does not
    depend on their number.

    Args:
        cell_index: Grid positions of the cells, sorted by z, y, x, [E, 3]; the nodes of the plane
            z = 0 are fixed.
        stiffness: Stiffness of a cell, [24, 24] in VTK's order of nodes, N/mm; or [K, 24, 24] for
            several kinds of cells.
        factor: Factor on each cell's stiffness, [E]; None for 1.
        kind: Kind of each cell, [E]; None if there is one.

    Attributes:
        stiffness: Matrix-free stiffness of the active cells.
        num_nodes: Number of nodes.
        size: Number of nodes in the active planes, a leading range.
    """

    is_exact = True

    def __init__(
        self,
        cell_index: NDArray[np.int64],
        stiffness: NDArray[np.float64],
        factor: NDArray[np.float64] | None = None,
        kind: NDArray[np.int8] | None = None,
    ):
        grid = Grid.from_cells(cell_index)
        self.stiffness = BrickStiffness(grid, stiffness, factor, torch.device("cpu"), kind)
        self.num_nodes, self.size = grid.num_nodes, 0
        matrices = [to_lexicographic(one) for one in stiffness.reshape(-1, 24, 24)]
        self._matrices = np.stack(matrices).reshape(-1, 8, 3, 8, 3)
        self._factor, self._kind, self._corners = factor, kind, grid.corners
        self._row = cell_index[:, 2]
        planes = int(self._row[-1]) + 2
        self._cells = np.searchsorted(self._row, np.arange(planes))
        self._nodes = np.searchsorted(grid.node_index[:, 2], np.arange(planes + 1))
        self._free = np.zeros(grid.num_nodes, dtype=bool)
        # S^-1 of the planes from 1 to the one below the topmost active one, and C to the next.
        self._inverses: list[Tensor] = []
        self._couplings: list[sparse.csr_array] = []
        self._top = torch.empty(0)  # S of the topmost plane
        self._solve_top: LinearMap = torch.zeros_like
        self._u = torch.zeros(3, grid.num_nodes + 1, dtype=torch.float64)

    @property
    def free(self) -> Tensor:
        """Nodes of the active planes that can move, [size]."""
        return torch.from_numpy(self._free[: self.size])

    @one_thread()
    def activate(self, start: int, stop: int) -> None:
        """Activate the cells ``start`` to ``stop``: whole rows of voxels on the active ones."""
        self.stiffness.activate(stop)
        first, last = int(self._row[start]), int(self._row[stop - 1])
        for row in range(first, last + 1):
            self._add_row(row)
        self.size = int(self._nodes[last + 2])
        self._solve_top = symmetric_solver(self._top, self._free_unknowns(last + 1))

    @one_thread()
    def cycle(self, force: Tensor) -> Tensor:
        """Product M force, both [3, N + 1]; the same tensor in every call."""
        ranges = [slice(*self._nodes[p : p + 2]) for p in range(1, len(self._inverses) + 2)]
        planes = [force[:, nodes].numpy().ravel() for nodes in ranges]
        lower = list(zip(self._inverses, self._couplings, strict=True))
        for p, (inverse, coupling) in enumerate(lower):
            if planes[p].any():  # the load of a new layer leaves the planes below it at zero
                planes[p] = inverse.numpy() @ planes[p]
                planes[p + 1] = planes[p + 1] - coupling.T @ planes[p]
        planes[-1] = self._solve_top(torch.from_numpy(planes[-1])).numpy()
        for p, (inverse, coupling) in reversed(list(enumerate(lower))):
            planes[p] = planes[p] - inverse.numpy() @ (coupling @ planes[p + 1])
        for nodes, values in zip(ranges, planes, strict=True):
            self._u[:, nodes] = torch.from_numpy(values).view(3, -1)
        return self._u

    def _add_row(self, row: int) -> None:
        """Eliminate the lower plane of a row of cells, and set S of the upper one."""
        lower, coupling, upper = self._assemble(row)
        self._free[self._corners[self._cells[row] : self._cells[row + 1]]] = True
        if row == 0:
            self._free[: self._nodes[1]] = False
            self._top = upper
            return
        inverse = symmetric_inverse(self._top + lower, self._free_unknowns(row))
        self._inverses.append(inverse)
        self._couplings.append(coupling)
        self._top = upper - torch.from_numpy(coupling.T @ (coupling.T @ inverse.numpy()).T)

    def _free_unknowns(self, plane: int) -> Tensor:
        free = self._free[self._nodes[plane] : self._nodes[plane + 1]]
        return torch.from_numpy(np.tile(free, 3))

    def _assemble(self, row: int) -> tuple[Tensor, sparse.csr_array, Tensor]:
        """Stiffness of a row of cells within its lower plane, to its upper plane, and within it.

        The unknowns of a plane are x of its nodes, then y, then z.
        """
        cells = slice(self._cells[row], self._cells[row + 1])
        factor = np.ones(cells.stop - cells.start) if self._factor is None else self._factor[cells]
        kind = slice(0, 1) if self._kind is None else self._kind[cells]
        start = self._nodes[row : row + 3]
        counts = np.diff(start)
        halves = (slice(0, 4), 0), (slice(4, 8), 1)

        def block(a: int, b: int) -> sparse.coo_array:
            (rows, p), (columns, q) = halves[a], halves[b]
            # [cell, node, component] of each side.
            i = self._corners[cells, rows, None] - start[p] + counts[p] * np.arange(3)
            j = self._corners[cells, columns, None] - start[q] + counts[q] * np.arange(3)
            matrices = self._matrices[:, rows, :, columns][kind]
            values = factor[:, None, None, None, None] * matrices
            i = np.broadcast_to(i[:, :, :, None, None], values.shape)
            j = np.broadcast_to(j[:, None, None], values.shape)
            shape = (3 * int(counts[p]), 3 * int(counts[q]))
            return sparse.coo_array((values.ravel(), (i.ravel(), j.ravel())), shape=shape)

        lower, upper = (torch.from_numpy(block(n, n).toarray()) for n in (0, 1))
        return lower, block(0, 1).tocsr(), upper
