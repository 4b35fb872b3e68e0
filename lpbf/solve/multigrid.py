"""A geometric multigrid cycle for a part of voxels that grows upwards."""

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import eigh
from torch import Tensor

from lpbf.solve import kernels_numba, kernels_torch
from lpbf.solve.bricks import Bricks, by_corner
from lpbf.solve.grid import Grid
from lpbf.solve.node_stencil import NodeStencil

_COARSEST = 150  # nodes at most on the grid that is solved directly, where coarsening allows
_DEGREE = 2  # of the smoother, before and after the coarse correction
_RANGE = 6.0  # the smoother damps the eigenvalues from 1 / _RANGE of the largest on
_POWER_STEPS = 6  # a layer, for the largest eigenvalue of a coarse grid
_MARGIN = 1.1  # over what the power method, a lower bound, gives


class Operator(Protocol):
    """A symmetric operator on [3, N + 1] node arrays."""

    def multiply(self, u: Tensor, out: Tensor, size: int) -> None:
        """out = A u on the leading nodes."""
        ...


class _Level:
    """The arrays of a level: its operator, smoother, and the way to the next coarser one."""

    def __init__(self, operator: Operator, grid: Grid, device: torch.device):
        self.operator = operator
        self.plane = grid.node_index[:, 2]
        self.size = 0
        self.largest = 0.0  # eigenvalue of D^-1 A

        def zeros(rows: int) -> Tensor:
            return torch.zeros(rows, grid.num_nodes + 1, dtype=torch.float64, device=device)

        self.inverse = zeros(6)  # of D
        self.force, self.image, self.direction, self.u = (zeros(3) for _ in range(4))
        self.vector = zeros(3)  # of the largest eigenvalue
        self.parents = self.children = torch.empty(0)

    def set_inverse(self, first: int, blocks: Tensor, clamped: bool) -> None:
        """D^-1 from the blocks [n, 3, 3] of the nodes from ``first`` on; 0 where nothing moves."""
        still = torch.diagonal(blocks, dim1=1, dim2=2).sum(1) <= 0
        if clamped:
            still |= torch.from_numpy(self.plane[first : first + len(blocks)] == 0).to(still.device)
        eye = torch.eye(3, dtype=blocks.dtype, device=blocks.device)
        inverse = torch.linalg.inv(torch.where(still[:, None, None], eye, blocks))
        inverse[still] = 0
        row, column = [0, 1, 2, 0, 1, 0], [0, 1, 2, 1, 2, 2]
        self.inverse[:, first : first + len(blocks)] = inverse[:, row, column].T


class Multigrid:
    """One V-cycle as a preconditioner M r ~ K^-1 r.

    Grids of twice the spacing lie over each other from the build plate up; interpolation is
    trilinear and the coarse operators are Galerkin's, P^T K P, summed cell by cell from what
    really stands: shapes of any kind are seen on every grid, and a new layer only adds to them.
    The smoother is Chebyshev's polynomial in D^-1 K with the 3 x 3 diagonal blocks D (Adams et
    al., J. Comput. Phys. 188, 2003); on the voxels its bound is that of one cell, which holds for
    every shape, and on the coarse grids the power method finds it. The coarsest grid is solved
    directly. The cycle is symmetric and positive definite.

    Args:
        cell_index: Grid positions of the cells, sorted by z, y, x, [E, 3].
        stiffness: Of a cell, [24, 24] in VTK's order, N/mm.
        factor: On each cell's stiffness, [E], or None.
        clamped: Whether the nodes of the lowest plane do not move.
        device: Where the tensors live.
    """

    def __init__(
        self,
        cell_index: NDArray[np.int64],
        stiffness: NDArray[np.float64],
        factor: NDArray[np.float64] | None = None,
        *,
        clamped: bool = True,
        device: torch.device | str = "cpu",
    ):
        self.clamped, self.device = clamped, torch.device(device)
        self.kernels = kernels_numba if self.device.type == "cpu" else kernels_torch
        matrix = by_corner(stiffness)
        self._corner_blocks = self._tensor(
            np.stack([matrix[3 * a : 3 * a + 3, 3 * a : 3 * a + 3] for a in range(8)])
        )
        self._weights = self._tensor(_interpolation())
        self._shares = torch.einsum(
            "oia,ij,ojb->oab", self._weights, self._tensor(matrix), self._weights
        )
        count = len(cell_index)
        self._factor = self._tensor(np.ones(count) if factor is None else factor)
        self._rows = cell_index[:, 2]
        grid = Grid.of_cells(cell_index)
        self._corners = self._tensor(grid.corners)
        self.bricks = Bricks(grid, stiffness, factor, self.device)
        self._diagonal = self._tensor(np.zeros((grid.num_nodes, 3, 3)))
        self.levels = [_Level(self.bricks, grid, self.device)]
        self.levels[0].largest = _largest_of_cell(matrix)
        self._family: list[tuple[Tensor, Tensor]] = []  # each cell's parent and place in it
        self._stencils: list[NodeStencil] = []
        shrinks = True
        while shrinks:
            coarse, parent, place = grid.coarsened()
            fine = self.levels[-1]
            fine.parents = self._tensor(grid.parents(coarse))
            fine.children = self._tensor(grid.children(coarse))
            self._family.append((self._tensor(parent), self._tensor(place)))
            self._stencils.append(NodeStencil(coarse, self.device))
            self.levels.append(_Level(self._stencils[-1], coarse, self.device))
            shrinks = coarse.num_nodes > _COARSEST and len(coarse.cell_index) > 1
            grid = coarse
        self._coarsest: Tensor | None = None

    def _tensor(self, array: NDArray) -> Tensor:
        return torch.from_numpy(array).to(self.device)

    @property
    def size(self) -> int:
        """Nodes of the planes that stand: a leading range."""
        return self.levels[0].size

    def grow(self, start: int, stop: int) -> None:
        """Adds the cells ``start`` to ``stop``, whole rows of voxels on those before."""
        low, top = int(self._rows[start]), int(self._rows[stop - 1])
        firsts = []
        for level in self.levels:
            firsts.append(int(np.searchsorted(level.plane, low)))
            level.size = int(np.searchsorted(level.plane, top + 1, side="right"))
            low, top = low // 2, top // 2
        self.bricks.take(stop)
        factor = self._factor[start:stop]
        blocks = factor[:, None, None, None] * self._corner_blocks
        self._diagonal.index_add_(0, self._corners[start:stop].flatten(), blocks.flatten(0, 1))
        fine = self.levels[0]
        fine.set_inverse(firsts[0], self._diagonal[firsts[0] : fine.size], self.clamped)

        cells = torch.arange(start, stop, device=self.device)
        matrices = torch.empty(0)
        for n, (stencil, level, first) in enumerate(
            zip(self._stencils, self.levels[1:], firsts[1:], strict=True)
        ):
            parent, place = (t[cells] for t in self._family[n])
            parents, owner = torch.unique(parent, return_inverse=True)
            if n == 0:
                shares = factor.new_zeros(len(parents) * 8)
                shares.index_add_(0, 8 * owner + place, factor)
                matrices = (shares.view(-1, 8) @ self._shares.flatten(1)).view(-1, 24, 24)
            else:
                coarse = matrices.new_zeros(len(parents), 24, 24)
                for o, weights in enumerate(self._weights):
                    of = place == o
                    coarse.index_add_(0, owner[of], weights.T @ matrices[of] @ weights)
                matrices = coarse
            cells = parents
            stencil.add_cells(cells, matrices)
            level.set_inverse(first, stencil.diagonal(slice(first, level.size)), self.clamped)
        self._coarsest = None

    def cycle(self, force: Tensor) -> Tensor:
        """M force; both [3, N + 1]. The result is the same array in every call."""
        if self._coarsest is None:
            self._prepare()
        self.levels[0].force = force
        self._descend(0)
        return self.levels[0].u

    def _descend(self, n: int) -> None:
        level = self.levels[n]
        if n == len(self.levels) - 1:
            assert self._coarsest is not None
            force = level.force[:, : level.size].flatten()
            level.u[:, : level.size] = (self._coarsest @ force).view(3, -1)
            return
        coarse, size = self.levels[n + 1], level.size
        level.u[:, :size] = 0
        level.image[:, :size] = 0
        self._smooth(level, at_zero=True)
        level.operator.multiply(level.u, level.image, size)
        self.kernels.restrict(level.force, level.image, level.children, coarse.force, coarse.size)
        self._descend(n + 1)
        self.kernels.prolong(coarse.u, level.parents, level.u, size)
        self._smooth(level, at_zero=False)

    def _smooth(self, level: _Level, *, at_zero: bool) -> None:
        middle, half = _chebyshev_range(level.largest)
        keep, take, rho = 0.0, 1 / middle, half / middle
        for turn in range(_DEGREE):
            if turn or not at_zero:
                level.operator.multiply(level.u, level.image, level.size)
            self.kernels.smooth(
                level.force, level.image, level.inverse, level.direction, level.u,
                keep, take, level.size,
            )  # fmt: skip
            following = 1 / (2 * middle / half - rho)
            keep, take, rho = following * rho, 2 * following / half, following

    def _prepare(self) -> None:
        for level in self.levels[1:-1]:
            self._find_largest(level)
        level = self.levels[-1]
        matrix = self._stencils[-1].dense(level.size)
        # From node by node to component by component.
        matrix = matrix.view(level.size, 3, level.size, 3).permute(1, 0, 3, 2)
        matrix = matrix.reshape(3 * level.size, 3 * level.size)
        moves = (level.inverse[0, : level.size] > 0).repeat(3)
        inverse = torch.zeros_like(matrix)
        index = torch.nonzero(moves)[:, 0]
        picked = matrix[index[:, None], index]
        factor, failed = torch.linalg.cholesky_ex(picked)
        # A floating part's matrix is singular; that of a thin one may be, to rounding.
        inverse[index[:, None], index] = (
            torch.cholesky_inverse(factor)
            if self.clamped and not failed
            else torch.linalg.pinv(picked, hermitian=True, rtol=1e-10)
        )
        self._coarsest = inverse

    def _find_largest(self, level: _Level) -> None:
        """The power method, going on from the layer before."""
        vector, size = level.vector, level.size
        pattern = torch.arange(3 * size, dtype=vector.dtype, device=vector.device)
        vector[:, :size] += 0.1 / size**0.5 * torch.sin(pattern * pattern).view(3, size)
        level.force.zero_()
        for _ in range(_POWER_STEPS):
            vector[:, :size] /= vector[:, :size].norm()
            level.operator.multiply(vector, level.image, size)
            # As the smoother steps: u = 0, direction = D^-1 A direction.
            self.kernels.smooth(
                level.force, level.image, level.inverse, vector, level.u, 0.0, -1.0, size
            )
        level.largest = _MARGIN * float(vector[:, :size].norm())


def _chebyshev_range(largest: float) -> tuple[float, float]:
    """Middle and half width of the range of eigenvalues to damp."""
    return largest * (1 + 1 / _RANGE) / 2, largest * (1 - 1 / _RANGE) / 2


def _interpolation() -> NDArray[np.float64]:
    """Trilinear interpolation to the 24 values of a cell from its parent's, for 8 places in it."""
    out = np.zeros((8, 24, 24))
    for place in range(8):
        for child in range(8):
            for parent in range(8):
                weight = 1.0
                for axis in range(3):
                    at = ((place >> axis & 1) + (child >> axis & 1)) / 2
                    weight *= at if parent >> axis & 1 else 1 - at
                for c in range(3):
                    out[place, 3 * child + c, 3 * parent + c] = weight
    return out


def _largest_of_cell(matrix: NDArray[np.float64]) -> float:
    """Largest eigenvalue of D^-1 K of one cell; no sum of cells has a larger one."""
    diagonal = np.zeros_like(matrix)
    for a in range(0, 24, 3):
        diagonal[a : a + 3, a : a + 3] = matrix[a : a + 3, a : a + 3]
    return float(eigh(matrix, diagonal, eigvals_only=True)[-1])
