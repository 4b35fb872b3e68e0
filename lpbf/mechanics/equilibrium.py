"""Equilibrium of the standing part: its stiffness, matrix-free, and the solution with it."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from lpbf.core.errors import SolverError
from lpbf.mechanics.build import Build
from lpbf.mechanics.rigid_motions import rigid_motions
from lpbf.solve.conjugate_gradients import conjugate_gradients
from lpbf.solve.multigrid import Multigrid


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

    Conjugate gradients with a multigrid cycle as preconditioner; memory and time grow with the
    standing cells.

    Args:
        build: The mesh in layers.
        clamped: False lets the part float: the force must have no resultant, and of the solutions
            the one without translation and rotation (in the mean over the nodes) is taken.
        device: Where the tensors live.
        tolerance: Norm of the residual over that of the force.
        max_iterations: Limit of a solution.

    Attributes:
        size: Nodes of the standing planes, a leading range.
        cells: Nodes of the standing cells, [n, 8].
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
    ):
        self.build, self.clamped = build, clamped
        self.device = torch.device(device)
        self.tolerance, self.max_iterations = tolerance, max_iterations
        mesh = build.mesh
        self._all_cells = torch.from_numpy(mesh.cells).to(self.device)
        self._multigrid = Multigrid(
            mesh.cell_index,
            build.brick.stiffness,
            build.cell_stiffness,
            clamped=clamped,
            device=self.device,
        )
        self._rigid: Tensor | None = None
        self._image = torch.zeros_like(self._multigrid.levels[0].u)
        self.cells = self._all_cells[:0]
        self.free = torch.zeros(0, dtype=torch.bool, device=self.device)

    @property
    def size(self) -> int:
        return self._multigrid.size

    def add_layer(self, layer: int) -> None:
        """Adds the cells of a layer; layers come upwards."""
        newest = self.build.cells_of(layer)
        self._multigrid.grow(newest.start, newest.stop)
        self.cells = self._all_cells[: newest.stop]
        self.free = self._multigrid.levels[0].inverse[0, : self.size] > 0
        if not self.clamped:
            points = torch.from_numpy(self.build.mesh.points[: self.size]).to(self.device)
            self._rigid = rigid_motions(points, self.free)

    def apply(self, u: Tensor) -> Tensor:
        """Nodal forces K u, [size, 3] in N, of displacements u [size, 3] in mm."""
        return self._multiply(self._inward(u))[:, : self.size].T.contiguous()

    def solve(
        self,
        force: Tensor,
        start: Tensor | None = None,
        tangent: Callable[[Tensor], Tensor] | None = None,
        name: str = "",
        tolerance: float | None = None,
    ) -> Solution:
        """Solves (K + tangent) u = force on the free nodes; the others stay at zero.

        Args:
            force: [size, 3], N.
            start: Where to begin, [size, 3] in mm; or several, [k, size, 3], of which the
                combination with the least energy is taken.
            tangent: What is added to K u, a symmetric operator with K + tangent positive definite.
            name: What errors call this solution.
            tolerance: Other than the object's.

        Raises:
            SolverError: If it does not converge.
        """
        size, multigrid = self.size, self._multigrid
        tolerance = self.tolerance if tolerance is None else tolerance

        def operator(u: Tensor) -> Tensor:
            image = self._multiply(u)
            if tangent is not None:
                image[:, :size] += tangent(u[:, :size].T).T
            return self._project(image)

        def precondition(residual: Tensor) -> Tensor:
            z = multigrid.cycle(residual)
            return z if self._rigid is None else self._project(z)

        right = self._project(self._inward(force))
        scale = float(right.norm())
        begin = None
        if start is not None and scale > 0:
            starts = start if start.dim() == 3 else start[None]
            begin = _best_combination(
                [self._project(self._inward(s)) for s in starts], operator, right
            )
        u, iterations, norm = conjugate_gradients(
            operator,
            precondition,
            right,
            begin,
            target=tolerance * scale,
            max_iterations=self.max_iterations,
        )
        if not norm <= tolerance * scale:
            raise SolverError(
                f"{name}: the equilibrium did not converge in {iterations} iterations "
                f"(residual {norm:.3g} N, target {tolerance * scale:.3g} N)"
            )
        own = self._project(u)[:, :size]
        return Solution(own.T.contiguous(), iterations, norm / scale if scale > 0 else 0.0)

    def _inward(self, values: Tensor) -> Tensor:
        """From [size, 3] to the multigrid's [3, N + 1]."""
        out = torch.zeros_like(self._multigrid.levels[0].u)
        out[:, : self.size] = values.T
        return out

    def _multiply(self, u: Tensor) -> Tensor:
        """K u, [3, N + 1]; the same tensor in every call."""
        self._multigrid.bricks.multiply(u, self._image, self.size)
        return self._image

    def _project(self, values: Tensor) -> Tensor:
        """In place: zero where nothing can move; no rigid motion if the part floats."""
        own = values[:, : self.size]
        own *= self.free
        if self._rigid is not None:
            flat = own.flatten()
            own -= (self._rigid @ (self._rigid.T @ flat)).view_as(own)
        return values


def _best_combination(starts: list[Tensor], operator: Callable, right: Tensor) -> Tensor:
    """The combination of the starts with the least energy u A u / 2 - u right."""
    images = torch.stack([operator(s).flatten().clone() for s in starts])
    vectors = torch.stack([s.flatten() for s in starts])
    gram, load = vectors @ images.T, vectors @ right.flatten()
    weights = torch.linalg.pinv(gram, hermitian=True, rtol=1e-12) @ load
    return (weights @ vectors).view_as(right)
