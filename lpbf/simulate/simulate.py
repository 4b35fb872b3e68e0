"""The layer-by-layer inherent-strain simulation of a part."""

import time

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flare_mesh.devices import find_device, peak_memory
from lpbf.core.materials import get_material
from lpbf.core.mesh import HexMesh
from lpbf.core.process import Process
from lpbf.core.report import Report, StepReport
from lpbf.core.result import LayerState, Result
from lpbf.core.threads import threads_for
from lpbf.heat.simulate_heat import HeatResult, simulate_heat
from lpbf.mechanics.build import POWDER, make_build
from lpbf.mechanics.elastic_stepper import ElasticStepper
from lpbf.mechanics.equilibrium import Equilibrium
from lpbf.mechanics.plastic_stepper import PlasticStepper
from lpbf.mechanics.steps import Step, steps_of
from lpbf.simulate.part_view import PartView, nodal_mean, part_build
from lpbf.simulate.release import release
from lpbf.simulate.run_steps import BuildState, run_steps

# Tolerance of a plastic step: the elastic solution alone leaves some tenths out of balance.
_LOOSEST_PLASTIC = 1e-3


def simulate(
    mesh: HexMesh,
    process: Process | None = None,
    *,
    history: bool = False,
    device: str | torch.device = "cpu",
    tolerance: float = 1e-8,
) -> Result:
    """Builds a part layer by layer and returns its distortion and residual stress.

    Each layer is added stress-free on the part as it has deformed so far and gets the inherent
    strain, and the part on its plate finds its equilibrium (small strains). Displacements count
    from the moment when a node's first layer is added. docs/lpbf.md has the equations.

    Args:
        mesh: The part.
        process: Material, layers, inherent strain and what else is modelled; None for the defaults.
        history: Whether to keep the part's state after each layer.
        device: Where it is computed.
        tolerance: Of each equilibrium: norm of the residual over that of the load. Plastic steps
            have 100 times that, up to 1e-3; builds with powder a hundredth, or their islands would
            drift.

    Raises:
        IslandError: If the mesh has unsupported voxels and the process refuses them.
        SolverError: If the equilibrium or the temperature of a layer is not found.
        TypeError: If the mesh or the process is something else.
        ValueError: If the process does not fit the mesh, the tolerance is not positive, or there is
            no such device.
    """
    if not isinstance(mesh, HexMesh):
        raise TypeError(f"expected a HexMesh (got {mesh!r:.80}); make one with lpbf.voxelize")
    if process is None:
        process = Process()
    if not isinstance(process, Process):
        raise TypeError(f"expected a Process (got {process!r:.80}); see Process.preset")
    if not 0 < tolerance < 1:
        raise ValueError(f"expected 0 < tolerance < 1 (got {tolerance})")
    device = find_device(device)
    with threads_for(mesh.num_cells):
        return _simulate(mesh, process, history, device, tolerance)


def _simulate(
    mesh: HexMesh, process: Process, history: bool, device: str | torch.device, tolerance: float
) -> Result:
    began = time.perf_counter()
    build = make_build(mesh, process)
    mesh = build.part  # without its islands, if they are dropped
    material = get_material(process.material)
    heat, reports = None, []
    if process.heat is not None:
        heat = simulate_heat(mesh, process, device=device)
        reports = [_heat_report(heat, time.perf_counter() - began)]
    if (build.kind == POWDER).any():
        tolerance *= 1e-2
    if process.plasticity:
        stepper = PlasticStepper(
            build,
            material,
            temperature=process.temperature,
            tolerance=min(100 * tolerance, _LOOSEST_PLASTIC),
            increments=process.plastic_increments,
            device=device,
        )
    else:
        stepper = ElasticStepper(build, device=device)
    expansion = None
    if process.heat is not None and process.heat.thermal_strain:
        expansion = material.thermal_expansion
    clearance = np.full(build.num_layers, np.nan)
    states: list[LayerState] = []

    def on_step(step: Step, state: BuildState) -> None:
        if step.layer is not None:
            clearance[step.layer] = part.rise_of_top(step.layer, state)
        if history:
            temperature = _standing_temperature(heat, step, process.temperature)
            states.append(part.layer_state(step, state, stepper.cell_stress(), temperature))

    part = PartView(build)
    equilibrium = Equilibrium(build, device=device, tolerance=tolerance)
    steps = steps_of(build, heat, expansion=expansion, ambient=process.temperature, device=device)
    state = run_steps(build, steps, stepper, equilibrium, on_step)
    del equilibrium

    displacement, on_plate = part.displacement(state), None
    is_part = torch.from_numpy(np.flatnonzero(build.is_part)).to(device)
    alone = part_build(build)
    stepper, reports = stepper.keep(alone, is_part), [*reports, *state.reports]
    if process.release:
        on_plate = displacement
        displacement, report = release(stepper, on_plate, alone, tolerance, device)
        reports = [*reports, report]

    def nodal(values: Tensor) -> NDArray[np.float64]:
        return nodal_mean(mesh.cells, values.cpu().numpy())

    return Result(
        mesh=mesh,
        displacement=displacement,
        stress=nodal(stepper.cell_stress()),
        temperature=(
            np.full(mesh.num_nodes, process.temperature)
            if heat is None
            else nodal(heat.temperature)
        ),
        plastic_strain=(
            nodal(stepper.plastic_strain()) if isinstance(stepper, PlasticStepper) else None
        ),
        equivalent_plastic_strain=(
            nodal(stepper.equivalent_plastic_strain())
            if isinstance(stepper, PlasticStepper)
            else None
        ),
        displacement_on_plate=on_plate,
        recoater_clearance=clearance,
        interlayer_temperature=None if heat is None else heat.interlayer.cpu().numpy(),
        history=tuple(states),
        report=Report("cg", time.perf_counter() - began, peak_memory(), tuple(reports)),
    )


def _heat_report(heat: HeatResult, seconds: float) -> StepReport:
    """All time steps of the heat model; the residual is the worst error of their balance."""
    return StepReport(
        name="heat",
        iterations=sum(step.iterations for step in heat.steps),
        residual=heat.balance_error,
        newton_iterations=sum(step.newton_iterations for step in heat.steps),
        seconds=seconds,
    )


def _standing_temperature(heat: HeatResult | None, step: Step, ambient: float) -> Tensor | float:
    """Of the part's standing cells at the end of a step."""
    return ambient if heat is None or step.layer is None else heat.after_layer[step.layer]
