"""Geometric multigrid for a voxel part that grows layer by layer."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lpbf.solve import kernels_numba, kernels_torch
from lpbf.solve.brick_modes import to_lexicographic
from lpbf.solve.brick_stiffness import BrickStiffness
from lpbf.solve.grid import Grid
from lpbf.solve.multigrid_level import Level
from lpbf.solve.node_stencil import NodeStencil
from lpbf.solve.symmetric_inverse import symmetric_inverse

_COARSEST = 150  # grids are coarsened to this number of nodes, and the coarsest is solved directly
_POWER_STEPS = 6  # of the power method on a coarse grid, after each layer
_MARGIN = 1.1  # on the power method's estimate, which is a lower bound


class Multigrid:
    """V-cycle as a preconditioner M r ~ K^-1 r, symmetric and positive definite.

    Each grid has twice the spacing of the one below it, counted from the build plate. Interpolation
    is trilinear and the coarse operators are Galerkin products P^T K P, summed over the active
    cells: every grid represents a part of any shape, and a new layer only adds to the operators.
    The smoother is Chebyshev's polynomial in D^-1 K with the 3 x 3 diagonal blocks D (Adams et
    al., J. Comput. Phys. 188, 2003). Its upper bound on the voxels is the largest eigenvalue of
    one cell, which holds for every shape; on the coarse grids the power method estimates it. The
    coarsest grid is solved directly.

    Args:
        cell_index: Grid positions of the cells, sorted by z, y, x, [E, 3].
        stiffness: Stiffness of a cell, [24, 24] in VTK's order of nodes, N/mm; or [K, 24, 24] for
            several kinds of cells.
        factor: Factor on each cell's stiffness, [E]; None for 1.
        kind: Kind of each cell, [E]; None if there is one.
        clamped: Whether the nodes of the lowest plane are fixed.
        device: Device of the tensors.
        fixed: Nodes that are fixed if the lowest plane is not, [N]; None for none. Interpolation
            to them is zero.

    Attributes:
        stiffness: Matrix-free stiffness of the active cells.
    """

    is_exact = False

    def __init__(
        self,
        cell_index: NDArray[np.int64],
        stiffness: NDArray[np.float64],
        factor: NDArray[np.float64] | None = None,
        *,
        kind: NDArray[np.int8] | None = None,
        clamped: bool = True,
        device: torch.device | str = "cpu",
        fixed: NDArray[np.bool_] | None = None,
    ):
        from scipy.linalg import block_diag, eigh

        self.clamped, self.device = clamped, torch.device(device)
        self.kernels = kernels_numba if self.device.type == "cpu" else kernels_torch
        matrices = np.stack([to_lexicographic(one) for one in stiffness.reshape(-1, 24, 24)])
        corner_blocks = matrices.reshape(-1, 8, 3, 8, 3)[:, range(8), :, range(8)]
        corner_blocks = corner_blocks.transpose(1, 0, 2, 3)
        self._corner_blocks = self._tensor(np.ascontiguousarray(corner_blocks))
        self._matrices = self._tensor(matrices)
        self._interpolation = self._tensor(_interpolation())
        # P^T K P of one cell of each kind in each octant of its parent.
        self._galerkin = torch.einsum(
            "oia,kij,ojb->koab", self._interpolation, self._matrices, self._interpolation
        )
        count = len(cell_index)
        self._kind = self._tensor(np.zeros(count, np.int64) if kind is None else kind).long()
        self._factor = self._tensor(np.ones(count) if factor is None else factor)
        self._rows = cell_index[:, 2]
        grid = Grid.from_cells(cell_index)
        self._corners = self._tensor(grid.corners)
        self.stiffness = BrickStiffness(grid, stiffness, factor, self.device, kind)
        self._diagonal = self._tensor(np.zeros((grid.num_nodes, 3, 3)))
        self.levels = [Level(self.stiffness, grid, clamped, self.device)]
        nowhere = np.zeros(grid.num_nodes, dtype=bool)
        self._fixed = self._tensor(nowhere if fixed is None else fixed)
        self.levels[0].fixed |= self._fixed
        # The largest eigenvalue of D^-1 K of one cell bounds that of every sum of cells.
        self.levels[0].largest = max(
            float(eigh(matrix, block_diag(*blocks), eigvals_only=True)[-1])
            for matrix, blocks in zip(matrices, corner_blocks, strict=True)
        )
        self._parents: list[tuple[Tensor, Tensor]] = []  # parent and octant of each level's cells
        self._stencils: list[NodeStencil] = []
        coarsens = True
        while coarsens:
            coarse, parent, octant = grid.coarsen()
            fine = self.levels[-1]
            fine.parents = self._tensor(grid.parents(coarse))
            fine.children = self._tensor(grid.children(coarse))
            self._parents.append((self._tensor(parent), self._tensor(octant)))
            self._stencils.append(NodeStencil(coarse, self.device))
            self.levels.append(Level(self._stencils[-1], coarse, clamped, self.device))
            coarsens = coarse.num_nodes > _COARSEST and len(coarse.cell_index) > 1
            grid = coarse
        if fixed is not None:
            fine, coarse = self.levels[:2]
            fine.parents[self._fixed] = len(coarse.plane)
            children = fine.children.long().clamp(max=len(fine.plane) - 1)
            fine.children[self._fixed[children]] = len(fine.plane)
        self._coarsest_inverse: Tensor | None = None

    def _tensor(self, array: NDArray) -> Tensor:
        return torch.from_numpy(array).to(self.device)

    @property
    def size(self) -> int:
        """Number of nodes in the active planes, a leading range."""
        return self.levels[0].size

    @property
    def num_nodes(self) -> int:
        """Number of nodes of the whole part."""
        return len(self.levels[0].plane)

    @property
    def free(self) -> Tensor:
        """Nodes of the active planes that can move, [size]."""
        return self.levels[0].inverse[0, : self.size] > 0

    def activate(self, start: int, stop: int) -> None:
        """Activate the cells ``start`` to ``stop``: whole rows of voxels on the active ones."""
        low, top = int(self._rows[start]), int(self._rows[stop - 1])
        firsts = []
        for level in self.levels:
            firsts.append(int(np.searchsorted(level.plane, low)))
            level.size = int(np.searchsorted(level.plane, top + 1, side="right"))
            low, top = low // 2, top // 2
        self.stiffness.activate(stop)
        factor, kind = self._factor[start:stop], self._kind[start:stop]
        blocks = factor[:, None, None, None] * self._corner_blocks[kind]
        self._diagonal.index_add_(0, self._corners[start:stop].flatten(), blocks.flatten(0, 1))
        fine = self.levels[0]
        fine.set_inverse(firsts[0], self._diagonal[firsts[0] : fine.size])

        cells = torch.arange(start, stop, device=self.device)
        matrices = torch.empty(0)
        for n, (stencil, level, first) in enumerate(
            zip(self._stencils, self.levels[1:], firsts[1:], strict=True)
        ):
            parent, octant = (t[cells] for t in self._parents[n])
            parents, owner = torch.unique(parent, return_inverse=True)
            if n == 0:
                whole = ~self._fixed[self._corners[cells]].any(1)
                kinds = len(self._galerkin)
                factors = factor.new_zeros(len(parents) * kinds * 8)
                factors.index_add_(0, 8 * (kinds * owner + kind) + octant, factor * whole)
                galerkin = self._galerkin.reshape(8 * kinds, 576)
                matrices = (factors.view(-1, 8 * kinds) @ galerkin).view(-1, 24, 24)
                self._add_fixed_cells(matrices, cells[~whole], owner[~whole], octant[~whole])
            else:
                coarse = matrices.new_zeros(len(parents), 24, 24)
                for o, weights in enumerate(self._interpolation):
                    inside = octant == o
                    coarse.index_add_(0, owner[inside], weights.T @ matrices[inside] @ weights)
                matrices = coarse
            cells = parents
            stencil.add_cells(cells, matrices)
            level.set_inverse(first, stencil.diagonal(slice(first, level.size)))
        self._coarsest_inverse = None

    def _add_fixed_cells(
        self, matrices: Tensor, cells: Tensor, owner: Tensor, octant: Tensor
    ) -> None:
        """Add the Galerkin products of cells with fixed nodes to their parents' ``matrices``."""
        if len(cells) == 0:
            return
        fixed = self._fixed[self._corners[cells]]
        place = torch.cat([self._kind[cells][:, None], octant[:, None], fixed], dim=1)
        cases, case = torch.unique(place, dim=0, return_inverse=True)
        free = 1.0 - cases[:, 2:].repeat_interleave(3, dim=1).to(self._matrices)
        weights = self._interpolation[cases[:, 1]] * free[:, :, None]
        products = weights.mT @ self._matrices[cases[:, 0]] @ weights
        factors = self._factor.new_zeros(len(matrices) * len(cases))
        factors.index_add_(0, len(cases) * owner + case, self._factor[cells])
        matrices += (factors.view(-1, len(cases)) @ products.flatten(1)).view_as(matrices)

    def cycle(self, force: Tensor) -> Tensor:
        """Product M force, both [3, N + 1]; the same tensor in every call."""
        if self._coarsest_inverse is None:
            self._prepare()
        self.levels[0].force = force
        self._descend(0)
        return self.levels[0].u

    def _descend(self, n: int) -> None:
        level = self.levels[n]
        if n == len(self.levels) - 1:
            assert self._coarsest_inverse is not None
            force = level.force[:, : level.size].flatten()
            level.u[:, : level.size] = (self._coarsest_inverse @ force).view(3, -1)
            return
        coarse, size = self.levels[n + 1], level.size
        if level.is_fused:
            level.descend(coarse)
            self._descend(n + 1)
            level.ascend(coarse)
            return
        level.u[:, :size] = 0
        level.image[:, :size] = 0
        self._smooth(level, at_zero=True)
        level.operator.multiply(level.u, level.image, size)
        self.kernels.restrict(level.force, level.image, level.children, coarse.force, coarse.size)
        self._descend(n + 1)
        self.kernels.prolong(coarse.u, level.parents, level.u, size)
        self._smooth(level, at_zero=False)

    def _smooth(self, level: Level, *, at_zero: bool) -> None:
        for n, (momentum, step) in enumerate(level.coefficients.tolist()):
            if n or not at_zero:
                level.operator.multiply(level.u, level.image, level.size)
            self.kernels.smooth(
                level.force, level.image, level.inverse, level.direction, level.u,
                momentum, step, level.size,
            )  # fmt: skip

    def _prepare(self) -> None:
        for level in self.levels[1:-1]:
            self._estimate_largest(level)
        for level in self.levels[:-1]:
            level.prepare()
        level = self.levels[-1]
        matrix = self._stencils[-1].dense(level.size)
        # From node by node to component by component.
        matrix = matrix.view(level.size, 3, level.size, 3).permute(1, 0, 3, 2)
        matrix = matrix.reshape(3 * level.size, 3 * level.size)
        free = (level.inverse[0, : level.size] > 0).repeat(3)
        # An unclamped part's matrix is singular; that of a thin part may be, to rounding.
        self._coarsest_inverse = symmetric_inverse(matrix, free, singular=not self.clamped)

    def _estimate_largest(self, level: Level) -> None:
        """Estimate the largest eigenvalue by the power method, from the last layer's vector."""
        vector, size = level.vector, level.size
        pattern = torch.arange(3 * size, dtype=vector.dtype, device=vector.device)
        vector[:, :size] += 0.1 / size**0.5 * torch.sin(pattern * pattern).view(3, size)
        level.force.zero_()
        for _ in range(_POWER_STEPS):
            vector[:, :size] /= vector[:, :size].norm()
            level.operator.multiply(vector, level.image, size)
            # One step of the smoother from u = 0 sets vector = D^-1 A vector.
            self.kernels.smooth(
                level.force, level.image, level.inverse, vector, level.u, 0.0, -1.0, size
            )
        level.largest = _MARGIN * float(vector[:, :size].norm())


def _interpolation() -> NDArray[np.float64]:
    """Trilinear interpolation [8, 24, 24] to a cell from its parent, for the parent's octants."""
    at = np.add.outer([0, 1], [0, 1]) / 2  # position in the parent by half and node, in a direction
    line = np.stack([1 - at, at], axis=-1)
    weights = np.einsum("aip,bjq,ckr->abcijkpqr", line, line, line).reshape(8, 8, 8)
    return np.kron(weights, np.eye(3))
