"""Elastoplastic steps of a build by Newton's method."""

import time
from dataclasses import replace

import torch
from torch import Tensor

from lpbf.core.errors import SolverError
from lpbf.core.material import Material
from lpbf.core.report import StepReport
from lpbf.mechanics.build import Build
from lpbf.mechanics.equilibrium import Equilibrium
from lpbf.mechanics.plastic_cells import Increment, PlasticCells
from lpbf.mechanics.plastic_element import Flow, PlasticElement
from lpbf.mechanics.plastic_hardening import Hardening, initial_yield_stress
from lpbf.mechanics.plastic_tangent import PlasticTangent
from lpbf.mechanics.steps import Step

# Tolerance of the linear solutions, relative to the residual that they are to remove: of the
# elastic predictor, and the largest and the least of the others (Eisenstat and Walker 1996,
# choice 2 with gamma = 0.9, exponent 2).
_FIRST = 1e-2
_LOOSEST = 0.1
_TIGHTEST = 1e-8
# A Newton step is shortened if the slope of the energy at its end exceeds this part of that at its
# start, down to this length.
_SLOPE = 0.5
_SHORTEST = 1e-2
# Share of the elastic stiffness in the first tangent of a step, which keeps it from flowing too far
# without hardening. It falls to a tenth from one to the next, down to the least one, then to none.
# A step that was too long makes it 100 times as large, and the least one finer.
_FIRST_DAMPING = 1e-2
_LEAST_DAMPING = 1e-3
_FINE_DAMPING = 1e-6
# Rounding of the forces of a cell, relative to the largest.
_ROUNDING = 1e-13


class PlasticStepper:
    """Steps of von Mises plasticity with isotropic hardening at small strains.

    The equilibrium of a step minimises a convex energy (Simo and Hughes 1998, chapter 1), so
    Newton's method with the consistent tangent and a line search on the energy's slope finds it
    from anywhere. It starts from the elastic increment. Only the state of the cells is kept, and
    changed once a step has converged: equilibria of the same cells with other supports may follow
    each other.

    Args:
        build: The part in layers. Cells of the plate and of powder stay elastic.
        material: With its yield stress.
        temperature: For the yield stress in steps that give none, degrees Celsius.
        tolerance: Of a step: norm of the forces out of balance at the free nodes, over that of
            the elastic forces that its load would leave out of balance.
        max_iterations: Of Newton's method.
        increments: Equal parts in which a step's eigenstrain is applied, each to equilibrium; what
            has none, as the release, is one part.
        device: Where the tensors live.

    Raises:
        ValueError: If the material has no yield stress.
    """

    def __init__(
        self,
        build: Build,
        material: Material,
        *,
        temperature: float = 25.0,
        tolerance: float = 1e-6,
        max_iterations: int = 40,
        increments: int = 1,
        device: str | torch.device = "cpu",
    ):
        material.require("yield_stress")
        self.material, self.temperature = material, temperature
        self.tolerance, self.max_iterations = tolerance, max_iterations
        self.increments = increments
        self.device = torch.device(device)
        self._nodes = torch.from_numpy(build.mesh.cells).to(device)
        factor = build.cell_stiffness
        self._flows = torch.from_numpy(build.is_part).to(device)
        scaled = None if factor is None else torch.from_numpy(factor).to(device)
        self._element = PlasticElement(build.brick, Hardening.of(material), device)
        self._cells = PlasticCells(self._element, scaled, len(self._flows), device)
        self._standing = 0

    def solve(
        self, step: Step, equilibrium: Equilibrium, start: Tensor | None = None
    ) -> tuple[Tensor, StepReport]:
        """Increment of the displacement in a step, [size, 3] in mm.

        Args:
            step: Its eigenstrain and temperature.
            equilibrium: Of the standing cells, with the supports of this step.
            start: Where the elastic solution of the first increment begins.

        Raises:
            SolverError: If an increment does not converge; the state is that before it.
        """
        try:
            return self._in_increments(step, equilibrium, start)
        except SolverError as error:
            if str(error).startswith(step.name):
                raise
            raise SolverError(f"{step.name}: {error}") from error

    def _in_increments(
        self, step: Step, equilibrium: Equilibrium, start: Tensor | None
    ) -> tuple[Tensor, StepReport]:
        increments = self.increments if bool(step.eigenstrain.any()) else 1
        part = replace(step, eigenstrain=step.eigenstrain / increments)
        total, report = self._solve(part, equilibrium, start)
        reports = [report]
        for _ in range(increments - 1):
            increment, report = self._solve(part, equilibrium, total / len(reports))
            total += increment
            reports.append(report)
        return total, StepReport(
            name=step.name,
            iterations=sum(r.iterations for r in reports),
            residual=max(r.residual for r in reports),
            newton_iterations=sum(r.newton_iterations for r in reports),
            seconds=sum(r.seconds for r in reports),
        )

    def _solve(
        self, step: Step, equilibrium: Equilibrium, start: Tensor | None
    ) -> tuple[Tensor, StepReport]:
        began = time.perf_counter()
        free = equilibrium.free.view(equilibrium.size, -1)
        increment = self._increment(step, equilibrium.cells)
        du = self._cells.stress.new_zeros(equilibrium.size, 3)
        elastic = replace(
            increment, yield_stress=torch.full_like(increment.yield_stress, torch.inf)
        )
        load = -self._cells.force(elastic, du)[0] * free
        scale, iterations, newton = float(load.norm()), 0, 0
        if scale > 0.0:
            solution = equilibrium.solve(load, start=start, tolerance=_FIRST, name=step.name)
            du, iterations = solution.u, solution.iterations
        residual, flows = self._residual(increment, du, free)
        norm = float(residual.norm())
        scale = max(scale, norm)
        target = max(self.tolerance * scale, _ROUNDING * self._largest_force(step))
        forcing, damping, least = _LOOSEST, _FIRST_DAMPING, _LEAST_DAMPING
        while not norm <= target:  # NaN is none
            if newton == self.max_iterations:
                raise SolverError(
                    f"{step.name}: the plastic equilibrium did not converge in {newton} Newton "
                    f"iterations (residual {norm:.3g} N, target {target:.3g} N)"
                )
            tangent = None
            if flows:
                tangent = PlasticTangent(self._element, increment.nodes, flows, damping)
            enough = 0.5 * target / norm
            wanted = enough if tangent is None else max(forcing, enough)
            newton += 1
            found = None
            try:
                solution = equilibrium.solve(
                    -residual, tangent=tangent, tolerance=max(wanted, _TIGHTEST), name=step.name
                )
                iterations += solution.iterations
                found = self._line_search(increment, du, solution.u, residual, free)
            except SolverError:
                # Without hardening the tangent can be as good as singular.
                if not flows or damping == 1.0:
                    raise
            del tangent
            if found is None or found[3] < 1.0:
                least = _FINE_DAMPING
                damping = min(max(100 * damping, least), 1.0)
            else:
                damping = damping / 10 if damping > least else 0.0
            if found is None:
                continue
            du, residual, flows, _ = found
            previous, norm = norm, float(residual.norm())
            forcing = min(_LOOSEST, 0.9 * (norm / previous) ** 2)
        self._cells.commit(increment, du)
        self._standing = len(increment.nodes)
        report = StepReport(
            name=step.name,
            iterations=iterations,
            residual=norm / scale if scale else 0.0,
            newton_iterations=newton,
            seconds=time.perf_counter() - began,
        )
        return du, report

    def cell_stress(self) -> Tensor:
        """Mean stress of the standing cells, [n, 6], MPa."""
        stress = _mean(self._cells.stress[:, : self._standing])
        factor = self._cells.factor
        return stress if factor is None else stress * factor[: self._standing, None]

    def plastic_strain(self) -> Tensor:
        """Mean plastic strain of the standing cells, [n, 6]; engineering shear strains."""
        return _mean(self._cells.plastic_strain[:, : self._standing])

    def equivalent_plastic_strain(self) -> Tensor:
        """Mean equivalent plastic strain of the standing cells, [n]."""
        return self._cells.equivalent[:, : self._standing].mean(0)

    def internal_force(self, cells: slice | None = None) -> Tensor:
        """Nodal forces [size, 3] in N that hold the stress of some standing cells; None for all.

        Their sum at a support is its reaction, and what a cut through it sets free.
        """
        nodes = self._nodes[: self._standing]
        cells = slice(0, self._standing) if cells is None else cells
        return self._cells.internal_force(nodes[cells], cells, int(nodes.max()) + 1)

    def keep(self, build: Build, cells: Tensor) -> "PlasticStepper":
        """A stepper for a build that consists of some of the standing cells, in their state.

        Args:
            build: Its cells are ``cells`` in that order.
            cells: Numbers of the cells, [n].

        Raises:
            ValueError: If the build has another number of cells.
        """
        kept = PlasticStepper(
            build,
            self.material,
            temperature=self.temperature,
            tolerance=self.tolerance,
            max_iterations=self.max_iterations,
            increments=self.increments,
            device=self.device,
        )
        if len(kept._nodes) != len(cells):
            raise ValueError(
                f"expected a build of the {len(cells)} cells to keep "
                f"(got one of {len(kept._nodes)} cells)"
            )
        kept._cells = self._cells.keep(cells)
        kept._standing = len(cells)
        return kept

    def _increment(self, step: Step, nodes: Tensor) -> Increment:
        count = len(nodes)
        temperature = step.temperature
        if temperature is None:
            temperature = torch.full((count,), self.temperature, dtype=torch.float64)
        yield_stress = initial_yield_stress(self.material, temperature.to(self.device))
        elastic = ~self._flows[:count]
        return Increment(
            nodes=nodes,
            eigenstrain=step.eigenstrain,
            yield_stress=yield_stress.masked_fill(elastic, torch.inf),
            modes=self._cells.stress.new_zeros(self._element.num_modes, count),
        )

    def _largest_force(self, step: Step) -> float:
        """Scale of the forces on one cell, N."""
        stress = float(self._cells.stress.abs().max())
        strain = float(step.eigenstrain.abs().max())
        return float(self._element.force.abs().max()) * (
            stress + self.material.youngs_modulus * strain
        )

    def _residual(self, step: Increment, du: Tensor, free: Tensor) -> tuple[Tensor, list[Flow]]:
        force, flows = self._cells.force(step, du)
        return force * free, flows

    def _line_search(
        self, step: Increment, du: Tensor, direction: Tensor, residual: Tensor, free: Tensor
    ) -> tuple[Tensor, Tensor, list[Flow], float] | None:
        """Goes along the direction until the forces have become smaller, or the energy's slope
        along it has; that rises along the way, since the energy is convex. None if it is far too
        long."""
        first, norm, length = float((residual * direction).sum()), float(residual.norm()), 1.0
        while True:
            trial = du + length * direction
            residual, flows = self._residual(step, trial, free)
            slope = float((residual * direction).sum())
            if slope <= -_SLOPE * first or float(residual.norm()) < norm:
                return trial, residual, flows, length
            if length < _SHORTEST:
                return None
            length *= min(0.9, max(0.1, first / (first - slope)))  # 0.1 where it is NaN


def _mean(values: Tensor) -> Tensor:
    return values.unflatten(0, (6, 8)).mean(1).T.contiguous()
