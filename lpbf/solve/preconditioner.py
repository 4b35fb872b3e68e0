"""Choice between the direct solution and multigrid for a part."""

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lpbf.solve.brick_stiffness import BrickStiffness
from lpbf.solve.multigrid import Multigrid

_MOST_MEMORY = 512e6  # bytes of the dense inverses of the direct solution
# Times in s, measured on one core: of the direct solution by multiplications in the inversion of a
# plane, and by numbers that a solution reads; of a multigrid iteration by nodes, and at least.
_PER_PRODUCT, _PER_NUMBER = 1e-10, 1.5e-9
_PER_NODE, _PER_ITERATION = 0.65e-6, 1.2e-3
# Iterations of multigrid: of a solid part, and for each node in a plane per cell beyond one. A wall
# of one voxel has two, a strut four.
_SOLID, _SLENDER = 4, 16


class Preconditioner(Protocol):
    """Approximate inverse of the stiffness of a part that grows layer by layer."""

    @property
    def is_exact(self) -> bool:
        """Whether it is the inverse, to rounding."""
        ...

    @property
    def stiffness(self) -> BrickStiffness: ...
    @property
    def num_nodes(self) -> int: ...
    @property
    def size(self) -> int: ...
    @property
    def free(self) -> Tensor: ...
    def activate(self, start: int, stop: int) -> None: ...
    def cycle(self, force: Tensor) -> Tensor: ...


def make_preconditioner(
    cell_index: NDArray[np.int64],
    stiffness: NDArray[np.float64],
    factor: NDArray[np.float64] | None,
    *,
    layers: NDArray[np.int64],
    clamped: bool,
    device: torch.device,
    fixed: NDArray[np.bool_] | None = None,
    kind: NDArray[np.int8] | None = None,
) -> Preconditioner:
    """The faster one of :class:`PlaneElimination` and :class:`Multigrid` for a build.

    The choice depends on the shape alone, so that results do not depend on the machine. The direct
    solution is for clamped parts on the CPU.

    Args:
        cell_index: Grid positions of the cells, sorted by z, y, x, [E, 3].
        stiffness: Stiffness of a cell, [24, 24] in VTK's order of nodes, N/mm; or [K, 24, 24] for
            several kinds of cells.
        factor: Factor on each cell's stiffness, [E]; None for 1.
        layers: Number of rows of voxels below the top of each layer, rising, [L].
        clamped: Whether the nodes of the lowest plane are fixed.
        device: Device of the tensors.
        fixed: Nodes that are fixed if the lowest plane is not, [N]; None for none.
        kind: Kind of each cell, [E]; None if there is one.
    """
    if clamped and device.type == "cpu" and prefers_elimination(cell_index, layers):
        from lpbf.solve.plane_elimination import PlaneElimination

        return PlaneElimination(cell_index, stiffness, factor, kind)
    return Multigrid(
        cell_index, stiffness, factor, kind=kind, clamped=clamped, device=device, fixed=fixed
    )


def prefers_elimination(cell_index: NDArray[np.int64], layers: NDArray[np.int64]) -> bool:
    """Whether the direct solution of a build is the faster one, by an estimate of both."""
    nodes = nodes_per_plane(cell_index)
    rows = np.bincount(cell_index[:, 2])
    unknowns = 3.0 * nodes[1:]
    if 8 * (unknowns**2).sum() > _MOST_MEMORY:
        return False
    numbers = np.cumsum(unknowns**2)[layers - 1]
    # The topmost plane of a layer is factorised, and inverted once it is below the next layer.
    inverted = (unknowns**3).sum() + (unknowns[layers - 1] ** 3).sum() / 3
    direct = _PER_PRODUCT * inverted + _PER_NUMBER * numbers.sum()
    active = np.cumsum(nodes[1:])[layers - 1]
    iterations = _SOLID + _SLENDER * np.maximum(active / np.cumsum(rows)[layers - 1] - 1, 0)
    return bool(direct < (iterations * (_PER_NODE * active + _PER_ITERATION)).sum())


def nodes_per_plane(cell_index: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number of nodes in each plane of nodes, from the bottom up."""
    x, y, z = (cell_index.max(axis=0) + 1).tolist()
    cells = np.zeros((x + 2, y + 2, z + 2), dtype=bool)
    cells[tuple(cell_index.T + 1)] = True
    for axis in range(3):
        low, high = (np.take(cells, range(n, cells.shape[axis] - 1 + n), axis) for n in (0, 1))
        cells = low | high
    return cells.sum(axis=(0, 1))
