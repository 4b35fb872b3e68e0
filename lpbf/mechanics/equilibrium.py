"""Equilibrium of the standing part: its stiffness, matrix-free, and the solution with it."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from lpbf.errors import SolverError
from lpbf.mechanics.build import Build


@dataclass(frozen=True)
class Solution:
    """A solved equilibrium.

    Attributes:
        u: Displacement, [size, 3], mm.
        iterations: Of the conjugate gradients.
        residual: Norm of the residual over that of the force.
    """

    u: Tensor
    iterations: int
    residual: float


class Equilibrium:
    """The elastic stiffness K of a part that grows layer by layer, and solutions with it.

    Args:
        build: The mesh in layers.
        device: Where the tensors live.
        tolerance: Norm of the residual over that of the force.
        max_iterations: Limit of a solution.
    """

    def __init__(
        self,
        build: Build,
        *,
        device: str | torch.device = "cpu",
        tolerance: float = 1e-8,
        max_iterations: int = 2000,
    ):
        self.build = build
        self.tolerance, self.max_iterations = tolerance, max_iterations
        self._all_cells = torch.from_numpy(build.mesh.cells).to(device)
        self._node_layer = torch.from_numpy(build.node_layer).to(device)
        self._stiffness = torch.from_numpy(build.brick.stiffness).to(device)
        blocks = [self._stiffness[3 * a : 3 * a + 3, 3 * a : 3 * a + 3] for a in range(8)]
        self._corner_blocks = torch.stack(blocks)
        self._diagonal = self._stiffness.new_zeros(build.mesh.num_nodes, 3, 3)
        self.size = 0
        self.cells = self._all_cells[:0]
        self.free = torch.zeros(0, dtype=torch.bool, device=device)

    def add_layer(self, layer: int) -> None:
        """Adds the cells of a layer; layers come upwards."""
        newest = self.build.cells_of(layer)
        self.cells = self._all_cells[: newest.stop]
        self.size = int(self.cells.max()) + 1
        node_layer = self._node_layer[: self.size]
        self.free = (node_layer >= 0) & (node_layer <= layer)
        corners = self._all_cells[newest]
        self._diagonal.index_add_(
            0, corners.flatten(), self._corner_blocks.repeat(len(corners), 1, 1)
        )

    def apply(self, u: Tensor) -> Tensor:
        """Nodal forces K u, [size, 3] in N, of displacements u [size, 3] in mm."""
        product = u[self.cells].flatten(1) @ self._stiffness
        out = torch.zeros_like(u)
        return out.index_add_(0, self.cells.flatten(), product.reshape(-1, 3))

    def solve(
        self,
        force: Tensor,
        start: Tensor | None = None,
        tangent: Callable[[Tensor], Tensor] | None = None,
        name: str = "",
    ) -> Solution:
        """Solves (K + tangent) u = force on the free nodes; the others stay at zero.

        Args:
            force: [size, 3], N.
            start: Where to begin, [size, 3], mm.
            tangent: What is added to K u, a symmetric operator with K + tangent positive definite.
            name: What errors call this solution.

        Raises:
            SolverError: If it does not converge.
        """
        free = self.free[:, None]
        eye = torch.eye(3, dtype=force.dtype, device=force.device)
        inverse = torch.linalg.inv(torch.where(free[:, :, None], self._diagonal[: self.size], eye))

        def operator(u: Tensor) -> Tensor:
            image = self.apply(u)
            return (image if tangent is None else image + tangent(u)) * free

        force = force * free
        u = torch.zeros_like(force) if start is None else start * free
        residual = force - operator(u)
        scale = float(force.norm())
        z = torch.einsum("nij,nj->ni", inverse, residual)
        direction, rho = z, float((residual * z).sum())
        norm = float(residual.norm())
        for iteration in range(self.max_iterations + 1):
            if norm <= self.tolerance * scale:
                return Solution(u, iteration, norm / scale if scale else 0.0)
            image = operator(direction)
            alpha = rho / float((direction * image).sum())
            u = u + alpha * direction
            residual = residual - alpha * image
            norm = float(residual.norm())
            z = torch.einsum("nij,nj->ni", inverse, residual)
            rho, previous = float((residual * z).sum()), rho
            direction = z + (rho / previous) * direction
        raise SolverError(
            f"{name}: the equilibrium did not converge in {self.max_iterations} iterations "
            f"(residual {norm:.3g} N, target {self.tolerance * scale:.3g} N)"
        )
