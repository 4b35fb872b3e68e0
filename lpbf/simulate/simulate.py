"""Layer-by-layer simulation of a part with inherent or thermal strain."""

import time
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flare_mesh.devices import find_device, peak_memory
from lpbf.core.machine import Machine
from lpbf.core.materials import get_material
from lpbf.core.mesh import HexMesh
from lpbf.core.process import Process
from lpbf.core.report import Report, StepReport
from lpbf.core.result import LayerState, Result
from lpbf.core.supports import REMOVALS, Supports
from lpbf.core.threads import threads_for
from lpbf.heat.simulate_heat import HeatResult, simulate_heat
from lpbf.mechanics.build import POWDER, make_build
from lpbf.mechanics.build_steps import BuildStep, build_steps
from lpbf.mechanics.elastic_stepper import ElasticStepper
from lpbf.mechanics.equilibrium import Equilibrium
from lpbf.mechanics.plastic_stepper import PlasticStepper
from lpbf.mechanics.thermal_expansion import ThermalExpansion
from lpbf.mechanics.thermal_steps import thermal_steps
from lpbf.simulate.calibration_range import check_strain_source
from lpbf.simulate.model_range import check_range
from lpbf.simulate.part_view import PartView, built, nodal_mean, remaining_mean
from lpbf.simulate.release import Released, release
from lpbf.simulate.release_steps import SUPPORTS_OFF, release_steps
from lpbf.simulate.run_steps import BuildState, run_steps

# Largest tolerance of a plastic step. The elastic solution alone leaves some tenths of the load
# unbalanced.
_LOOSEST_PLASTIC = 1e-3


def simulate(
    mesh: HexMesh,
    process: Process | None = None,
    *,
    history: bool = False,
    device: str | torch.device = "cpu",
    tolerance: float = 1e-8,
    on_step: Callable[[int, int, str], None] | None = None,
) -> Result:
    """Simulate the build of a part: its distortion and residual stress.

    Each layer is activated stress-free on the deformed part and strained by the inherent strain, or
    contracts as it cools, which leads to a new equilibrium on the plate (small strains). The
    displacement of a node counts from the activation of its first layer. docs/lpbf.md has the
    equations. A part that distorts so
    much that small strains are a poor model gives a :class:`PartWarning`, and so does a calibrated
    strain in another model than that of its calibration.

    Args:
        mesh: The part.
        process: Material, layers, inherent strain and models; None for the defaults.
        history: Whether to store the part's state after each layer.
        device: Device of the computation.
        tolerance: Norm of the residual over that of the load, of each equilibrium. Plastic steps
            have 100 times this tolerance, at most 1e-3; builds with powder have a hundredth, so
            that unsupported voxels in powder do not drift.
        on_step: Called after each layer and each cut, with the number of those that are done, of
            all of them, and the name of the last one.

    Raises:
        IslandError: If the mesh has unsupported voxels and the process refuses them.
        PartError: If a cut of the release touches nothing that is left of the part, or leaves
            nothing.
        SolverError: If the equilibrium or the temperature of a layer does not converge.
        TypeError: If the mesh or the process has another type.
        ValueError: If the process does not fit the mesh, the tolerance is not between 0 and 1, or
            the device is not available.
    """
    if not isinstance(mesh, HexMesh):
        raise TypeError(f"expected a HexMesh (got {mesh!r:.80}); make one with lpbf.voxelize")
    process = Process() if process is None else process
    if not isinstance(process, Process):
        raise TypeError(f"expected a Process (got {process!r:.80}); see Process.preset")
    if not 0 < tolerance < 1:
        raise ValueError(f"expected 0 < tolerance < 1 (got {tolerance})")
    device = find_device(device)
    with threads_for(mesh.num_cells):
        return _simulate(mesh, process, history, device, tolerance, on_step)


def _simulate(
    mesh: HexMesh,
    process: Process,
    history: bool,
    device: str | torch.device,
    tolerance: float,
    report_step: Callable[[int, int, str], None] | None,
) -> Result:
    began = time.perf_counter()
    build = make_build(mesh, process)
    mesh = build.part  # without dropped islands
    is_support = build.is_support[build.is_solid]
    of_part = torch.from_numpy(~is_support).to(device)
    order = process.supports.order if isinstance(process.supports, Supports) else REMOVALS[0]
    cuts = release_steps(build.solid, process.release, is_support, order)
    material = get_material(process.material)
    heat, reports = None, []
    if process.heat is not None:
        heat = simulate_heat(mesh, process, device=device)
        newton = sum(step.newton_iterations for step in heat.steps)
        iterations, seconds = sum(s.iterations for s in heat.steps), time.perf_counter() - began
        reports = [StepReport("heat", iterations, heat.balance_error, newton, seconds)]
    if (build.cell_kind == POWDER).any():
        tolerance *= 1e-2
    if process.plasticity:
        stepper = PlasticStepper(
            build,
            material,
            temperature=process.temperature,
            tolerance=min(100 * tolerance, _LOOSEST_PLASTIC),
            increments=process.plastic_increments if process.strain == "inherent" else 1,
            device=device,
        )
    else:
        stepper = ElasticStepper(build, device=device)
    expansion = None
    if process.heat is not None and process.heat.thermal_strain:
        expansion = ThermalExpansion(material, device)
    clearance = np.full(build.num_layers, np.nan)
    states: list[LayerState] = []

    def tell(layers: int, num_cuts: int, name: str) -> None:
        if report_step is not None:
            report_step(layers + num_cuts, build.num_layers + len(cuts), name)

    def on_step(step: BuildStep, state: BuildState) -> None:
        if step.layer is not None:
            tell(step.layer + 1, 0, step.name)
            clearance[step.layer] = part.top_rise(step.layer, state)
        if history and step.is_last and part.begins_by(step):
            temperature: Tensor | float = process.temperature
            if heat is not None and step.layer is not None:
                temperature = heat.after_layer[step.layer]
                temperature = temperature[of_part[: len(temperature)]]
            states.append(part.layer_state(step, state, stepper.cell_stress(), temperature))

    part = PartView(build)
    equilibrium = Equilibrium(build, device=device, tolerance=tolerance)
    if process.strain == "thermal":
        assert heat is not None
        plate = process.base_plate
        modulus = None if plate is None else plate.youngs_modulus
        steps = thermal_steps(
            build,
            heat,
            material,
            ambient=process.temperature,
            plate_modulus=modulus,
            device=device,
        )
    else:
        steps = build_steps(
            build, heat, expansion=expansion, ambient=process.temperature, device=device
        )
    state = run_steps(build, steps, stepper, equilibrium, on_step)
    del equilibrium

    displacement, on_plate = part.solid_displacement(state), None
    on_elastic = process.base_plate is not None and any(cut.on_plate.any() for cut in cuts)
    alone, kept = built(build, with_plate=on_elastic)
    stepper = stepper.extract(alone, torch.from_numpy(np.flatnonzero(kept)).to(device))
    reports = [*reports, *state.reports]
    cell_temperature = np.full(build.solid.num_cells, process.temperature)
    if heat is not None:
        cell_temperature = heat.temperature.cpu().numpy()
    temperature = nodal_mean(mesh.cells, cell_temperature[part.cells])
    fields = {
        name: values.cpu().numpy()[alone.is_solid] for name, values in stepper.cell_fields().items()
    }
    removed = np.zeros(build.solid.num_cells, dtype=bool)
    released: list[Released] = []
    if cuts:
        on_plate = displacement

        def on_cut(step: Released) -> None:
            released.append(step)
            tell(build.num_layers, len(released), step.state.name)
            if history:
                stress = step.fields["stress"][part.cells]
                states.append(part.released_state(part.of_part(step.state), stress, temperature))

        release(stepper, on_plate, alone, cuts, tolerance, device, on_cut)
        displacement, removed = released[-1].state.displacement, released[-1].state.removed
        fields, reports = released[-1].fields, [*reports, *(step.report for step in released)]
    supports = None
    if build.support_brick is not None:
        last = part.solid_displacement(state)
        for step in released:
            if step.state.name == SUPPORTS_OFF:
                break
            last = step.state.displacement
        supports = part.support_state(on_plate, last, fields | {"temperature": cell_temperature})
    fields = {name: values[part.cells] for name, values in fields.items()}
    removed = removed[part.cells]
    result = Result(
        mesh=mesh,
        displacement=displacement[part.nodes],
        temperature=temperature,
        displacement_on_plate=None if on_plate is None else on_plate[part.nodes],
        recoater_clearance=clearance,
        interlayer_temperature=None if heat is None else heat.interlayer.cpu().numpy(),
        plate_temperature=_plate_temperature(process, heat),
        release=tuple(part.of_part(step.state) for step in released),
        supports=supports,
        build_time=_build_time(mesh, process),
        history=tuple(states),
        report=Report("cg", time.perf_counter() - began, peak_memory(), tuple(reports)),
        **{name: remaining_mean(mesh.cells, values, removed) for name, values in fields.items()},
    )
    check_strain_source(process, mesh)
    check_range(result, process, build.rows_per_layer * mesh.spacing[2])
    return result


def _plate_temperature(process: Process, heat: HeatResult | None) -> NDArray[np.float64] | None:
    if heat is None or process.heat is None or process.heat.plate_heat_capacity is None:
        return None
    return np.array([*heat.plate_after_layer, heat.plate_temperature])


def _build_time(mesh: HexMesh, process: Process) -> float | None:
    if not isinstance(process.machine, Machine):
        return None
    supports = process.supports
    fraction = supports.volume_fraction if isinstance(supports, Supports) else 0.0
    return process.machine.build_time(mesh, fraction)
