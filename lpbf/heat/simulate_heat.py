"""Temperature of a part and its supports while they are built layer by layer."""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from lpbf.core.materials import get_material
from lpbf.core.mesh import HexMesh, check_on_plate
from lpbf.core.process import Process
from lpbf.core.support_cells import with_supports
from lpbf.core.supports import Supports
from lpbf.heat.conduction import Conduction
from lpbf.heat.enthalpy import Enthalpy
from lpbf.heat.plate_balance import PlateBalance
from lpbf.heat.time_step import HeatStep, TimeStepper


@dataclass(frozen=True, eq=False)
class HeatStage:
    """Temperatures of the active cells at the end of a mechanical step with thermal strain.

    Attributes:
        layer: The newest layer, from 0.
        time: s since the deposition of that layer.
        temperature: [n], degrees Celsius.
        annealed: Cells that reached the stress-free temperature since the stage before, [n].
        plate_temperature: Temperature of the plate.
        in_dwell: Whether it belongs to the layer's dwell, not to the cooling after the last one.
        is_last: Whether the layer's dwell ends here.
    """

    layer: int
    time: float
    temperature: Tensor
    annealed: Tensor
    plate_temperature: float
    in_dwell: bool
    is_last: bool


@dataclass(frozen=True, eq=False)
class HeatResult:
    """Temperatures of the cells of part and supports, in degrees Celsius, float64.

    Attributes:
        temperature: Temperature at the end, [E].
        after_layer: Temperature of the active cells at the end of each layer's dwell, [n] each.
        interlayer: Mean over the part's cells of each layer at the end of its dwell, right before
            the next one is deposited, [L]; NaN for a layer without cells of the part.
        steps: Report of each time step.
        plate_temperature: Temperature of the plate at the end.
        plate_after_layer: Temperature of the plate at the end of each layer's dwell.
        preheat: Temperature of the plate at the beginning.
        deposition_temperature: Temperature of a new layer.
        stages: Stages of the mechanics; empty with an inherent strain.
    """

    temperature: Tensor
    after_layer: tuple[Tensor, ...]
    interlayer: Tensor
    steps: tuple[HeatStep, ...]
    plate_temperature: float
    plate_after_layer: tuple[float, ...]
    preheat: float
    deposition_temperature: float
    stages: tuple[HeatStage, ...] = ()

    @property
    def balance_error(self) -> float:
        """Largest error of a time step's energy balance, relative to the heat it exchanged."""
        return max(step.balance_error for step in self.steps)


def simulate_heat(
    mesh: HexMesh, process: Process, *, device: str | torch.device = "cpu"
) -> HeatResult:
    """Simulate the temperature of a part while it is built.

    rho c(T) dT/dt = div(k(T) grad T) on the voxels, with latent heat: cell-centred finite volumes,
    implicit time steps (:class:`TimeStepper`). Each layer is activated at the deposition
    temperature and cools for the dwell time. Heat flows to the plate through the bottom (also where
    the mechanics has an elastic base plate), to the gas through the newest layer's top, and to the
    powder, which stores none, through all other faces. The temperature of the plate is constant or
    follows its heat balance (:class:`PlateBalance`). A voxel of supports stores the heat of its
    volume fraction, and conducts like its walls (:class:`Conduction`).

    Args:
        mesh: The part, with its supports.
        process: Process with ``heat`` and a material with thermal properties.
        device: Device of the computation.

    Raises:
        SolverError: If a time step does not converge.
        ValueError: If the process has no heat model or does not fit the mesh, or the material
            lacks a property.
    """
    heat = process.heat
    if heat is None:
        raise ValueError("expected a process with a heat model (got heat=None); set Process.heat")
    material = get_material(process.material)
    check_on_plate(mesh)
    fraction = None
    is_part = np.ones(mesh.num_cells, dtype=bool)
    if mesh.supports is not None:
        supports, mesh = mesh.supports, with_supports(mesh)
        is_part = ~supports[tuple(mesh.cell_index.T)]
        assert isinstance(process.supports, Supports)  # make_build refuses a mesh without
        fraction = np.where(is_part, 1.0, process.supports.volume_fraction)
    deposition = heat.deposition_temperature
    if deposition is None:
        material.require("liquidus")
        assert material.liquidus is not None
        deposition = material.liquidus
    cell_layer = mesh.cell_index[:, 2] // process.voxels_per_layer(mesh.spacing[2])
    conduction = Conduction(mesh, cell_layer, material, heat, fraction=fraction, device=device)
    voxel = float(np.prod(mesh.spacing)) * 1e-9
    volume = None if fraction is None else torch.from_numpy(voxel * fraction).to(device)
    stepper = TimeStepper(Enthalpy(material, device=device), voxel, order=heat.time_order)
    of_part = torch.from_numpy(is_part).to(device)

    num_layers = int(cell_layer[-1]) + 1
    ends = np.searchsorted(cell_layer, np.arange(num_layers), side="right").tolist()
    temperature = torch.zeros(0, dtype=torch.float64, device=device)
    after_layer, plate_after_layer, interlayer, steps, stages = [], [], [], [], []
    plate = PlateBalance(heat, conduction)
    time = 0.0
    ends_stage = _stage_ends(process)
    limit = material.stress_free_temperature
    for layer, end in enumerate(ends):
        fresh = temperature.new_full((end - len(temperature),), deposition)
        temperature = torch.cat([temperature, fresh])
        conduction.activate(end)
        if volume is not None:
            stepper = replace(stepper, volume=volume[:end])
        durations = heat.steps(heat.dwell_time)
        if layer == num_layers - 1 and heat.cooling_time > 0:
            durations += heat.steps(heat.cooling_time)
        deposited, peak = time, temperature
        for number, duration in enumerate(durations, start=1):
            time += duration
            advance = partial(stepper, temperature, conduction.at, duration, layer=layer, time=time)
            temperature, step = plate.step(advance, duration, float(temperature.max()))
            steps.append(step)
            if ends_stage:
                peak = torch.maximum(peak, temperature)
                if (number - 1) % heat.time_steps + 1 in ends_stage:
                    stage = HeatStage(
                        layer=layer,
                        time=time - deposited,
                        temperature=temperature,
                        annealed=peak >= (torch.inf if limit is None else limit),
                        plate_temperature=plate.temperature,
                        in_dwell=number <= heat.time_steps,
                        is_last=number == heat.time_steps,
                    )
                    stages.append(stage)
                    peak = temperature
            if number == heat.time_steps:
                after_layer.append(temperature)
                plate_after_layer.append(plate.temperature)
                newest = slice(end - len(fresh), end)
                interlayer.append(temperature[newest][of_part[newest]].mean())
    return HeatResult(
        temperature=temperature,
        after_layer=tuple(after_layer),
        interlayer=torch.stack(interlayer),
        steps=tuple(steps),
        plate_temperature=plate.temperature,
        plate_after_layer=tuple(plate_after_layer),
        preheat=heat.preheat,
        deposition_temperature=deposition,
        stages=tuple(stages),
    )


def _stage_ends(process: Process) -> set[int]:
    """Numbers of the time steps of a dwell, from 1, after which a mechanical step ends.

    With thermal strain alone. An elastic part without a stress-free temperature depends on the
    temperatures at the end of the dwell only.
    """
    if process.strain != "thermal" or process.heat is None:
        return set()
    material = get_material(process.material)
    is_linear = not process.plasticity and material.stress_free_temperature is None
    count = 1 if is_linear else process.plastic_increments
    return {round(process.heat.time_steps * n / count) for n in range(1, count + 1)}
