"""Elastic equilibrium of the active cells, with their matrix-free stiffness."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lpbf.core.errors import SolverError
from lpbf.mechanics.build import Build
from lpbf.mechanics.convergence_advice import convergence_advice
from lpbf.mechanics.rigid_body_modes import rigid_body_modes
from lpbf.solve.brick_stiffness import BrickStiffness
from lpbf.solve.conjugate_gradients import conjugate_gradients
from lpbf.solve.linear_map import LinearMap
from lpbf.solve.preconditioner import make_preconditioner


@dataclass(frozen=True)
class Solution:
    """Solution of an equilibrium.

    Attributes:
        u: Displacement, [size, 3], mm.
        iterations: Iterations of the conjugate gradients.
        residual: Norm of the residual over that of the force, or over the larger force for which
            the rounding is the tolerance.
    """

    u: Tensor
    iterations: int
    residual: float


class Equilibrium:
    """Elastic stiffness K of a part that grows layer by layer, and solutions with it.

    Conjugate gradients are preconditioned by a multigrid cycle, whose memory and time grow with the
    number of active cells; or by a direct solution if the planes have so few nodes that it is
    faster, as in thin walls and lattices.

    Args:
        build: The mesh in layers.
        clamped: Whether the nodes at the bottom are fixed. Without them and ``fixed``, the force
            must have no resultant, and the solution has no rigid-body motion in the mean over the
            nodes.
        device: Device of the tensors.
        tolerance: Norm of the residual over that of the force.
        max_iterations: Maximum number of iterations.
        fixed: Nodes that are fixed if those at the bottom are not, [N]. The force must have no
            resultant on components without them.

    Attributes:
        size: Number of nodes in the active planes, a leading range.
        cells: Nodes of the active cells, [n, 8].
        free: Nodes that can move, [size].
    """

    def __init__(
        self,
        build: Build,
        *,
        clamped: bool = True,
        device: str | torch.device = "cpu",
        tolerance: float = 1e-8,
        max_iterations: int = 2000,
        fixed: NDArray[np.bool_] | None = None,
    ):
        self.build, self._is_free = build, not clamped and fixed is None
        self.device = torch.device(device)
        self.tolerance, self.max_iterations = tolerance, max_iterations
        mesh = build.mesh
        self._all_cells = torch.from_numpy(mesh.cells).to(self.device)
        stiffness = np.stack([brick.stiffness for brick in build.bricks])
        # Rows of voxels below the top of each layer.
        tops = [build.layer_cells(n).stop for n in range(build.num_layers)]
        self._preconditioner = make_preconditioner(
            mesh.cell_index,
            stiffness,
            build.cell_stiffness,
            kind=build.cell_brick,
            layers=mesh.cell_index[np.array(tops) - 1, 2] + 1,
            clamped=clamped,
            device=self.device,
            fixed=fixed,
        )
        self._rigid: Tensor | None = None
        self._scaled: BrickStiffness | None = None
        self._image = self._zeros()
        self.cells = self._all_cells[:0]
        self.free = torch.zeros(0, dtype=torch.bool, device=self.device)

    @property
    def size(self) -> int:
        return self._preconditioner.size

    def activate_layer(self, layer: int) -> None:
        """Activate the cells of a layer; layers are activated from the bottom up."""
        self._scaled = None
        newest = self.build.layer_cells(layer)
        self._preconditioner.activate(newest.start, newest.stop)
        self.cells = self._all_cells[: newest.stop]
        self.free = self._preconditioner.free
        if self._is_free:
            free = self.free.cpu().numpy()
            points = self.build.mesh.points[: self.size]
            modes = rigid_body_modes(points - points[free].mean(axis=0)) * free[:, None, None]
            columns = torch.from_numpy(modes.transpose(1, 0, 2).reshape(-1, 6))
            self._rigid = torch.linalg.qr(columns)[0].to(self.device)

    def scale_stiffness(self, factor: Tensor | None) -> None:
        """Multiply the stiffness of each active cell by a factor [n] until the next layer or call.

        The preconditioner keeps the stiffness of the build, so that the iterations increase with
        the square root of the range of the factors.

        Args:
            factor: Factors > 0; None for 1.
        """
        stiffness = self._preconditioner.stiffness
        self._scaled = None if factor is None else stiffness.scaled(factor)

    def apply(self, u: Tensor) -> Tensor:
        """Nodal forces K u, [size, 3] in N, of displacements u [size, 3] in mm."""
        return self._multiply(self._to_grid(u))[:, : self.size].T.contiguous()

    def solve(
        self,
        force: Tensor,
        start: Tensor | None = None,
        tangent: LinearMap | None = None,
        name: str = "",
        tolerance: float | None = None,
        rounding: float = 0.0,
    ) -> Solution:
        """Solve (K + tangent) u = force on the free nodes; the others remain at zero.

        Args:
            force: [size, 3], N.
            start: Initial guess, [size, 3] in mm; or several, [k, size, 3], whose combination with
                the least energy is used.
            tangent: Symmetric operator with K + tangent positive definite.
            name: Name of the solution in errors.
            tolerance: Tolerance of this solution; None for that of the object.
            rounding: Norm of the residual below which it is rounding, N.

        Raises:
            SolverError: If the solution does not converge.
        """
        size, preconditioner = self.size, self._preconditioner
        tolerance = self.tolerance if tolerance is None else tolerance

        def operator(u: Tensor) -> Tensor:
            image = self._multiply(u)
            if tangent is not None:
                image[:, :size] += tangent(u[:, :size].T).T
            return self._project(image)

        def precondition(residual: Tensor) -> Tensor:
            z = preconditioner.cycle(residual)
            return z if self._rigid is None else self._project(z)

        right = self._project(self._to_grid(force))
        scale = float(right.norm())
        target, guess = max(tolerance * scale, rounding), None
        if preconditioner.is_exact and tangent is None and self._scaled is None:
            start = None  # one iteration from zero reaches the solution
        if start is not None and scale > 0:
            starts = [self._project(self._to_grid(s)) for s in start.reshape(-1, size, 3)]
            guess = _best_combination(starts, operator, right)
        u, iterations, norm = conjugate_gradients(
            operator, precondition, right, guess, target=target, max_iterations=self.max_iterations
        )
        if not norm <= target:
            raise SolverError(
                f"{name}: the equilibrium did not converge in {iterations} iterations "
                f"(residual {norm:.3g} N, expected {target:.3g} N); "
                f"{convergence_advice(self.build)}"
            )
        solution = self._project(u)[:, :size]
        # A force that is little more than rounding has no relative residual.
        relative = norm * tolerance / target if target > 0 else 0.0
        return Solution(solution.T.contiguous(), iterations, relative)

    def _zeros(self) -> Tensor:
        """Node array [3, N + 1] of zeros; its last node stays zero."""
        count = self._preconditioner.num_nodes + 1
        return torch.zeros(3, count, dtype=torch.float64, device=self.device)

    def _to_grid(self, values: Tensor) -> Tensor:
        """Node array [3, N + 1] from [size, 3]."""
        out = self._zeros()
        out[:, : self.size] = values.T
        return out

    def _multiply(self, u: Tensor) -> Tensor:
        """Product K u, [3, N + 1]; the same tensor in every call."""
        stiffness = self._preconditioner.stiffness if self._scaled is None else self._scaled
        stiffness.multiply(u, self._image, self.size)
        return self._image

    def _project(self, values: Tensor) -> Tensor:
        """Zero the fixed nodes, and the rigid-body modes of an unclamped part, in place."""
        active = values[:, : self.size]
        active *= self.free
        if self._rigid is not None:
            flat = active.flatten()
            active -= (self._rigid @ (self._rigid.T @ flat)).view_as(active)
        return values


def _best_combination(starts: list[Tensor], operator: LinearMap, right: Tensor) -> Tensor:
    """Combination of the starts with the least energy u A u / 2 - u right."""
    images = torch.stack([operator(s).flatten().clone() for s in starts])
    vectors = torch.stack([s.flatten() for s in starts])
    gram, load = vectors @ images.T, vectors @ right.flatten()
    weights = torch.linalg.pinv(gram, hermitian=True, rtol=1e-12) @ load
    return (weights @ vectors).view_as(right)
