"""Elastic steps of a build."""

import time

import torch
from torch import Tensor

from lpbf.core.report import StepReport
from lpbf.mechanics.build import Build
from lpbf.mechanics.build_steps import BuildStep, scaled
from lpbf.mechanics.equilibrium import Equilibrium

# Rounding of the internal forces, relative to the sums of the cells' absolute forces.
_ROUNDING = 1e-13


class ElasticStepper:
    """Steps of linear elasticity: K du = forces of the step's eigenstrain.

    The state of a cell is the displacement of its nodes since its activation, and its eigenstrain.
    With a stiffness that depends on the temperature, K and the forces of the whole state are those
    after the step, so that the stress is the one of the total strain.

    Args:
        build: The part in layers.
        device: Device of the tensors.
    """

    def __init__(self, build: Build, *, device: str | torch.device = "cpu"):
        def tensor(array):
            return torch.from_numpy(array).to(device)

        bricks = build.bricks
        self._elasticity = [tensor(brick.elasticity) for brick in bricks]
        self._stiffness = [tensor(brick.stiffness) for brick in bricks]
        self._load = [tensor(brick.load.T) for brick in bricks]
        self._strain = tensor(build.brick.strain)
        self._nodes = tensor(build.mesh.cells)
        self._build_factor = None if build.cell_stiffness is None else tensor(build.cell_stiffness)
        self._factor = self._build_factor  # by the temperature of the last step, too
        self._brick = None if build.cell_brick is None else tensor(build.cell_brick)
        count = build.mesh.num_cells
        self._local = self._strain.new_zeros(count, 24)
        self._eigenstrain = self._strain.new_zeros(count, 6)
        self._num_active = 0

    def solve(
        self, step: BuildStep, equilibrium: Equilibrium, start: Tensor | None = None
    ) -> tuple[Tensor, StepReport]:
        """Increment of the displacement in a step, [size, 3] in mm.

        Args:
            step: The step.
            equilibrium: Equilibrium of the active cells.
            start: Initial guess, as in :meth:`Equilibrium.solve`.

        Raises:
            SolverError: If the step does not converge.
        """
        began = time.perf_counter()
        self._factor = scaled(self._build_factor, step.stiffness)
        if step.annealed is not None:
            for state in (self._local, self._eigenstrain):
                state[: len(step.annealed)].masked_fill_(step.annealed[:, None], 0.0)
        strained = torch.nonzero(step.eigenstrain.abs().sum(1))[:, 0]
        load = self._multiply(step.eigenstrain[strained], self._load, strained)
        load = self._sum(load, strained, equilibrium.size)
        rounding = 0.0
        if not step.in_equilibrium and self._num_active:
            internal, largest = self._internal_force()
            load[: len(internal)] -= internal
            rounding = _ROUNDING * float(largest.norm())
        solution = equilibrium.solve(load, start=start, name=step.name, rounding=rounding)
        count = self._num_active = len(step.eigenstrain)
        self._local[:count] += solution.u[self._nodes[:count]].flatten(1)
        self._eigenstrain[:count] += step.eigenstrain
        seconds = time.perf_counter() - began
        return solution.u, StepReport(step.name, solution.iterations, solution.residual, 0, seconds)

    def cell_stress(self) -> Tensor:
        """Mean stress of the active cells, [n, 6], MPa."""
        n = self._num_active
        strain = self._local[:n] @ self._strain.T - self._eigenstrain[:n]
        stress = self._multiply(strain, self._elasticity, torch.arange(n, device=strain.device))
        return stress if self._factor is None else stress * self._factor[:n, None]

    def cell_fields(self) -> dict[str, Tensor]:
        """Means of the fields of a result in the active cells, by their names."""
        return {"stress": self.cell_stress()}

    def internal_force(self) -> Tensor:
        """Internal nodal forces of the active cells, [size, 3] in N."""
        return self._internal_force()[0]

    def _internal_force(self) -> tuple[Tensor, Tensor]:
        """Internal nodal forces, and the sums of the cells' absolute forces, [size, 3] in N."""
        n = self._num_active
        size = int(self._nodes[:n].max()) + 1
        cells = torch.arange(n, device=self._local.device)
        force = self._multiply(self._local[:n], self._stiffness, cells)
        force -= self._multiply(self._eigenstrain[:n], self._load, cells)
        return self._sum(force, cells, size), self._sum(force.abs(), cells, size)

    def extract(self, build: Build, cells: Tensor) -> "ElasticStepper":
        """Stepper of a build that consists of some of the active cells, with their state."""
        part = ElasticStepper(build, device=self._local.device)
        part._local, part._eigenstrain = self._local[cells], self._eigenstrain[cells]
        part._num_active = len(cells)
        return part

    def _multiply(self, values: Tensor, matrices: list[Tensor], cells: Tensor) -> Tensor:
        """Product of the values [n, a] of some cells with the matrix [a, b] of their bricks."""
        out = values @ matrices[0]
        if self._brick is not None:
            for number, matrix in enumerate(matrices[1:], start=1):
                other = self._brick[cells] == number
                out[other] = values[other] @ matrix
        return out

    def _sum(self, force: Tensor, cells: Tensor, size: int) -> Tensor:
        """Nodal sums [size, 3] of the forces [n, 24] on some cells."""
        if self._factor is not None:
            force = force * self._factor[cells, None]
        out = force.new_zeros(size, 3)
        return out.index_add_(0, self._nodes[cells].flatten(), force.reshape(-1, 3))
