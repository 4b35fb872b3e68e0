"""Symmetric matrix that couples each cell of a voxel grid to its six neighbours."""

from dataclasses import dataclass

from torch import Tensor

from lpbf.solve import kernels_numba, kernels_torch
from lpbf.solve.conjugate_gradients import conjugate_gradients
from lpbf.solve.linear_map import LinearMap


@dataclass(frozen=True)
class CellStencil:
    """Matrix A with A x = diagonal x - sum over the neighbours of link x_neighbour.

    Cells are numbered by z, then y, then x.

    Attributes:
        diagonal: [n].
        links: Couplings to the neighbours in -x, +x, -y, +y, -z, +z, [6, n]; 0 without a neighbour.
        neighbours: Cell numbers, [6, n]; any valid number without a neighbour.
    """

    diagonal: Tensor
    links: Tensor
    neighbours: Tensor

    def operator(self) -> LinearMap:
        """Product A x, [n] to [n]."""
        return self._kernels.cell_operator(self.diagonal, self.links, self.neighbours)

    def exchange(self, x: Tensor) -> Tensor:
        """Sum over the neighbours of link (x - x_neighbour), [n]; exactly 0 for a constant x."""
        return self._kernels.exchange_cells(x, self.links, self.neighbours)

    def preconditioner(self) -> LinearMap:
        """Approximate inverse for conjugate gradients; needs a diagonally dominant A, links >= 0.

        Modified incomplete Cholesky factorisation (Gustafsson, BIT 18, 1978) on the CPU. Its
        triangular solutions are sequential; other devices use Jacobi's inverse diagonal.
        """
        return self._kernels.cell_preconditioner(self.diagonal, self.links, self.neighbours)

    def solve(
        self, force: Tensor, *, target: float, max_iterations: int
    ) -> tuple[Tensor, int, float]:
        """Solve A x = force by preconditioned conjugate gradients, from zero.

        Args:
            force: [n].
            target: Sum of the absolute residuals to reach.
            max_iterations: Maximum number of iterations. Reaching it is not an error.

        Returns:
            The solution, the number of iterations, and the sum of the absolute residuals.
        """
        if self._kernels.COMPILED:
            arrays = self.diagonal, self.links, self.neighbours
            return kernels_numba.solve_cells(*arrays, force, target, max_iterations)
        return conjugate_gradients(
            self.operator(),
            self.preconditioner(),
            force,
            target=target,
            max_iterations=max_iterations,
            order=1,
        )

    @property
    def _kernels(self):
        return kernels_numba if self.diagonal.device.type == "cpu" else kernels_torch
