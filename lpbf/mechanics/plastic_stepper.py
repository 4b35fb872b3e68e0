"""Elastoplastic steps of a build by Newton's method."""

import time
from copy import copy
from dataclasses import replace

import torch
from torch import Tensor

from lpbf.core.errors import SolverError
from lpbf.core.material import Material
from lpbf.core.report import StepReport
from lpbf.mechanics.build import Build
from lpbf.mechanics.build_steps import BuildStep, scaled
from lpbf.mechanics.equilibrium import Equilibrium
from lpbf.mechanics.isotropic_mapping import IsotropicMapping
from lpbf.mechanics.plastic_cells import Increment, PlasticCells
from lpbf.mechanics.plastic_element import PlasticElement, YieldedCells
from lpbf.mechanics.plastic_hardening import Hardening, initial_yield_stress
from lpbf.mechanics.plastic_tangent import PlasticTangent

# Relative tolerance of the linear solutions: of the elastic predictor, and the largest and the
# smallest one of the Newton iterations (Eisenstat and Walker 1996, choice 2 with gamma = 0.9 and
# exponent 2).
_FIRST_TOLERANCE = 1e-2
_LOOSEST = 0.1
_TIGHTEST = 1e-8
# A Newton step is shortened, down to this length, if the slope of the energy at its end exceeds
# this share of that at its start.
_SLOPE = 0.5
_SHORTEST = 1e-2
# Share of the elastic stiffness in the first tangent of a step, which limits the plastic flow
# without hardening. Each iteration divides it by ten, down to the minimum, then it is zero. After a
# step that was too long it is 100 times as large, and the minimum is the fine one.
_FIRST_DAMPING = 1e-2
_MIN_DAMPING = 1e-3
_FINE_DAMPING = 1e-6
# Rounding of a cell's forces, relative to the largest force; and the unbalanced forces that remain
# where a change of the temperature is so small that its load is no measure of them. The forces on
# the incompatible modes are balanced to a tenth of that.
_ROUNDING, _UNBALANCED = 1e-13, 1e-9


class PlasticStepper:
    """Steps of von Mises plasticity with isotropic hardening at small strains.

    The equilibrium of a step minimises a convex energy (Simo and Hughes 1998, chapter 1), so
    Newton's method with the consistent tangent and a line search on the slope of the energy
    converges from any start; it starts from the elastic increment. The state of the cells changes
    only when a step has converged, and does not depend on the supports: steps of the same cells
    with other supports can follow.

    Args:
        build: The part in layers. Plate and powder are elastic; supports yield like the part, in
            proportion to their stiffness (:class:`IsotropicMapping`).
        material: Material with a yield stress.
        temperature: Temperature of steps without one, degrees Celsius.
        tolerance: Norm of the unbalanced forces at the free nodes, over that of the elastic forces
            that the load of the step leaves unbalanced.
        max_iterations: Maximum number of Newton iterations.
        increments: Number of equal increments of a step's eigenstrain, each to equilibrium. A step
            without eigenstrain, such as the release, has one.
        device: Device of the tensors.

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
        self._modulus = material.youngs_modulus_at(temperature)
        self.device = torch.device(device)
        self._nodes = torch.from_numpy(build.mesh.cells).to(device)
        self._yields = torch.from_numpy(build.is_solid).to(device)
        factor = build.cell_stiffness
        factor = None if factor is None else torch.from_numpy(factor).to(device)
        self._factor = factor
        self._element = PlasticElement(build.brick, device)
        self._mapping = support = is_support = None
        if build.support_brick is not None:
            elasticity = build.support_brick.elasticity
            mapping = IsotropicMapping.between(build.brick.elasticity, elasticity)
            self._mapping = torch.from_numpy(mapping.strain).to(device)
            support = PlasticElement(build.support_brick, device, mapping)
            is_support = torch.from_numpy(build.is_support).to(device)
        count = len(self._yields)
        self._cells = PlasticCells(self._element, factor, count, device, support, is_support)
        self._num_active = 0

    def solve(
        self, step: BuildStep, equilibrium: Equilibrium, start: Tensor | None = None
    ) -> tuple[Tensor, StepReport]:
        """Increment of the displacement in a step, [size, 3] in mm.

        Args:
            step: The step.
            equilibrium: Equilibrium of the active cells, with the supports of this step.
            start: Initial guess of the elastic solution of the first increment.

        Raises:
            SolverError: If an increment does not converge; the state is the one before it, without
            the stress and plastic strain of annealed cells.
        """
        if step.annealed is not None:
            self._cells.anneal(step.annealed)
        try:
            return self._solve_increments(step, equilibrium, start)
        except SolverError as error:
            if str(error).startswith(step.name):
                raise
            raise SolverError(f"{step.name}: {error}") from error

    def _solve_increments(
        self, step: BuildStep, equilibrium: Equilibrium, start: Tensor | None
    ) -> tuple[Tensor, StepReport]:
        increments = self.increments if bool(step.eigenstrain.any()) else 1
        part = replace(step, eigenstrain=step.eigenstrain / increments)
        total, report = self._solve_increment(part, equilibrium, start)
        reports = [report]
        for _ in range(increments - 1):
            increment, report = self._solve_increment(part, equilibrium, total / len(reports))
            total += increment
            reports.append(report)
        return total, StepReport(
            name=step.name,
            iterations=sum(r.iterations for r in reports),
            residual=max(r.residual for r in reports),
            newton_iterations=sum(r.newton_iterations for r in reports),
            seconds=sum(r.seconds for r in reports),
        )

    def _solve_increment(
        self, step: BuildStep, equilibrium: Equilibrium, start: Tensor | None
    ) -> tuple[Tensor, StepReport]:
        began = time.perf_counter()
        free = equilibrium.free.view(equilibrium.size, -1)
        increment = self._load_increment(step, equilibrium.cells)
        du = self._cells.stress.new_zeros(equilibrium.size, 3)
        unlimited = torch.full_like(increment.yield_stress, torch.inf)
        elastic = replace(increment, yield_stress=unlimited)
        load = -self._cells.force(elastic, du)[0] * free
        scale, iterations, newton = float(load.norm()), 0, 0
        if scale > 0.0:
            solution = equilibrium.solve(load, start, tolerance=_FIRST_TOLERANCE, name=step.name)
            du, iterations = solution.u, solution.iterations
        residual, yielded = self._residual(increment, du, free)
        norm = float(residual.norm())
        scale = max(scale, norm)
        least = _ROUNDING if step.in_equilibrium else _UNBALANCED
        target = max(self.tolerance * scale, least * self._largest_force(step))
        forcing, damping, minimum = _LOOSEST, _FIRST_DAMPING, _MIN_DAMPING
        while not norm <= target:  # true for NaN
            if newton == self.max_iterations:
                raise SolverError(
                    f"{step.name}: the plastic equilibrium did not converge in {newton} Newton "
                    f"iterations (residual {norm:.3g} N, expected {target:.3g} N); increase "
                    f"plastic_increments or the material's hardening"
                )
            tangent = None
            if yielded:
                tangent = PlasticTangent(increment.nodes, yielded, damping, increment.factor)
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
                # Without hardening the tangent can be nearly singular.
                if not yielded or damping == 1.0:
                    raise
            del tangent
            if found is None or found[3] < 1.0:
                minimum = _FINE_DAMPING
                damping = min(max(100 * damping, minimum), 1.0)
            else:
                damping = damping / 10 if damping > minimum else 0.0
            if found is None:
                continue
            du, residual, yielded, _ = found
            previous, norm = norm, float(residual.norm())
            forcing = min(_LOOSEST, 0.9 * (norm / previous) ** 2)
        self._cells.commit(increment, du)
        self._num_active = len(increment.nodes)
        relative = norm * self.tolerance / target if target else 0.0
        seconds = time.perf_counter() - began
        return du, StepReport(step.name, iterations, relative, newton, seconds)

    def cell_stress(self) -> Tensor:
        """Mean stress of the active cells, [n, 6], MPa."""
        stress = _mean(self._cells.stress[:, : self._num_active])
        if self._mapping is not None:
            supports = self._cells.supports(slice(0, self._num_active))
            stress[supports] = stress[supports] @ self._mapping
        factor = self._cells.factor
        return stress if factor is None else stress * factor[: self._num_active, None]

    def plastic_strain(self) -> Tensor:
        """Mean plastic strain of the active cells, [n, 6]; engineering shear strains."""
        strain = _mean(self._cells.plastic_strain[:, : self._num_active])
        if self._mapping is not None:
            supports = self._cells.supports(slice(0, self._num_active))
            strain[supports] = torch.linalg.solve(self._mapping, strain[supports].T).T
        return strain

    def equivalent_plastic_strain(self) -> Tensor:
        """Mean equivalent plastic strain of the active cells, [n]."""
        return self._cells.equivalent[:, : self._num_active].mean(0)

    def cell_fields(self) -> dict[str, Tensor]:
        """Means of the fields of a result in the active cells, by their names."""
        return {
            "stress": self.cell_stress(),
            "plastic_strain": self.plastic_strain(),
            "equivalent_plastic_strain": self.equivalent_plastic_strain(),
        }

    def internal_force(self, cells: slice | None = None) -> Tensor:
        """Internal nodal forces of some active cells, [size, 3] in N; None for all cells.

        Their sum over a support is its reaction.
        """
        nodes = self._nodes[: self._num_active]
        cells = slice(0, self._num_active) if cells is None else cells
        return self._cells.internal_force(nodes[cells], cells, int(nodes.max()) + 1)

    def extract(self, build: Build, cells: Tensor) -> "PlasticStepper":
        """Stepper of a build that consists of some of the active cells, with their state.

        Args:
            build: Build whose cells are ``cells`` in that order.
            cells: Numbers of the cells, [n].

        Raises:
            ValueError: If the build has another number of cells.
        """
        if build.mesh.num_cells != len(cells):
            raise ValueError(
                f"expected a build of the {len(cells)} cells to extract "
                f"(got one of {build.mesh.num_cells} cells)"
            )
        part = copy(self)
        part._nodes = torch.from_numpy(build.mesh.cells).to(self.device)
        part._yields = self._yields[cells]
        part._factor = None if self._factor is None else self._factor[cells]
        part._cells = self._cells.extract(cells)
        part._num_active = len(cells)
        return part

    def _load_increment(self, step: BuildStep, nodes: Tensor) -> Increment:
        count = len(nodes)
        temperature = step.temperature
        if temperature is None:
            temperature = torch.full((count,), self.temperature, dtype=torch.float64)
        temperature = temperature.to(self.device)
        yield_stress = initial_yield_stress(self.material, temperature)
        hardening = Hardening.from_material(self.material, temperature)
        if step.stiffness is not None:  # the stored stress is the one over this factor
            yield_stress = yield_stress / step.stiffness
            hardening = hardening.over(step.stiffness)
        elastic = ~self._yields[:count]
        return Increment(
            nodes=nodes,
            eigenstrain=step.eigenstrain,
            yield_stress=yield_stress.masked_fill(elastic, torch.inf),
            hardening=hardening,
            factor=scaled(self._factor, step.stiffness),
            modes=self._cells.stress.new_zeros(self._element.num_modes, count),
        )

    def _largest_force(self, step: BuildStep) -> float:
        """Scale of the forces on one cell, N."""
        stress = float(self._cells.stress.abs().max())
        stress += self._modulus * float(step.eigenstrain.abs().max())
        return float(self._element.force.abs().max()) * stress

    def _residual(
        self, increment: Increment, du: Tensor, free: Tensor
    ) -> tuple[Tensor, list[YieldedCells]]:
        force, yielded = self._cells.force(increment, du)
        return force * free, yielded

    def _line_search(
        self, increment: Increment, du: Tensor, direction: Tensor, residual: Tensor, free: Tensor
    ) -> tuple[Tensor, Tensor, list[YieldedCells], float] | None:
        """Shorten a Newton step until the forces or the slope of the energy decrease enough.

        The energy is convex, so its slope increases along the direction.

        Returns:
            Displacement increment, residual, yielded cells and length; None if every length down to
            the shortest is too long.
        """
        first, norm, length = float((residual * direction).sum()), float(residual.norm()), 1.0
        while True:
            trial = du + length * direction
            residual, yielded = self._residual(increment, trial, free)
            slope = float((residual * direction).sum())
            if slope <= -_SLOPE * first or float(residual.norm()) < norm:
                return trial, residual, yielded, length
            if length < _SHORTEST:
                return None
            length *= min(0.9, max(0.1, first / (first - slope)))  # 0.1 for NaN


def _mean(values: Tensor) -> Tensor:
    return values.unflatten(0, (6, 8)).mean(1).T.contiguous()
