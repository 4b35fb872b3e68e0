"""One grid of the multigrid."""

import numpy as np
import torch
from torch import Tensor

from lpbf.solve import cycle_kernels, kernels_numba
from lpbf.solve.brick_stiffness import BrickStiffness
from lpbf.solve.grid import Grid
from lpbf.solve.kernels_numba import Kernel
from lpbf.solve.node_stencil import NodeStencil

_DEGREE = 2  # of the smoothing polynomial, before and after the coarse correction
_RANGE = 6.0  # the smoother damps the eigenvalues above the largest one over this number


class Level:
    """Arrays of a level: its operator, its smoother, and the transfer to the next coarser level."""

    def __init__(
        self,
        operator: BrickStiffness | NodeStencil,
        grid: Grid,
        clamped: bool,
        device: torch.device,
    ):
        self.operator = operator
        self.plane = grid.node_index[:, 2]
        self.fixed = torch.from_numpy(clamped & (self.plane == 0)).to(device)
        self.size = 0  # of the active planes of nodes
        self.largest = 0.0  # eigenvalue of D^-1 A

        def zeros(rows: int) -> Tensor:
            return torch.zeros(rows, grid.num_nodes + 1, dtype=torch.float64, device=device)

        self.inverse = zeros(6)  # D^-1: xx, yy, zz, xy, yz, xz
        self.force, self.image, self.direction, self.u = (zeros(3) for _ in range(4))
        self.vector = zeros(3)  # eigenvector of the largest eigenvalue
        self.parents = self.children = torch.empty(0)
        self.coefficients = np.zeros((_DEGREE, 2))  # momentum and step of each smoothing step
        used = self.image, self.inverse, self.direction, self.u
        self.arrays = [t.numpy() for t in used] if self.operator.kernels.COMPILED else []

    @property
    def is_fused(self) -> bool:
        """Whether each half of a cycle is one call, on one thread."""
        if not self.operator.kernels.COMPILED:
            return False
        if torch.get_num_threads() == 1:
            return True
        if isinstance(self.operator, BrickStiffness):
            return self.operator.takes_one_thread
        return self.size < kernels_numba.FEW_STENCILS

    def descend(self, coarse: "Level") -> None:
        """Smooth from u = 0, and restrict the residual; one call."""
        descend: Kernel = cycle_kernels.descend
        descend(
            self.force.numpy(), *self.arrays, self.operator.arrays, self.coefficients,
            self.children.numpy(), coarse.force.numpy(), self.size, coarse.size,
        )  # fmt: skip

    def ascend(self, coarse: "Level") -> None:
        """Add the coarse correction, and smooth; one call."""
        ascend: Kernel = cycle_kernels.ascend
        ascend(
            self.force.numpy(), *self.arrays, self.operator.arrays, self.coefficients,
            self.parents.numpy(), coarse.u.numpy(), self.size,
        )  # fmt: skip

    def prepare(self) -> None:
        """Set the smoothing steps for the largest eigenvalue."""
        self.coefficients[:] = _chebyshev_coefficients(self.largest)

    def set_inverse(self, first: int, blocks: Tensor) -> None:
        """Set D^-1 from the blocks [n, 3, 3] of the nodes from ``first`` on; 0 at fixed nodes."""
        fixed = torch.diagonal(blocks, dim1=1, dim2=2).sum(1) <= 0
        fixed |= self.fixed[first : first + len(blocks)]
        eye = torch.eye(3, dtype=blocks.dtype, device=blocks.device)
        inverse = torch.linalg.inv(torch.where(fixed[:, None, None], eye, blocks))
        inverse[fixed] = 0
        row, column = [0, 1, 2, 0, 1, 0], [0, 1, 2, 1, 2, 2]
        self.inverse[:, first : first + len(blocks)] = inverse[:, row, column].T


def _chebyshev_coefficients(largest: float) -> list[tuple[float, float]]:
    """Momentum and step of each smoothing step, for the interval of eigenvalues to damp."""
    middle, half = largest * (1 + 1 / _RANGE) / 2, largest * (1 - 1 / _RANGE) / 2
    momentum, step, rho = 0.0, 1 / middle, half / middle
    found = []
    for _ in range(_DEGREE):
        found.append((momentum, step))
        following = 1 / (2 * middle / half - rho)
        momentum, step, rho = following * rho, 2 * following / half, following
    return found
