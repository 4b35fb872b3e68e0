"""Steps of a build that contracts as it cools."""

from collections.abc import Iterator

import torch

from lpbf.core.material import Material
from lpbf.core.table import Table
from lpbf.core.tensor_table import TensorTable
from lpbf.heat.simulate_heat import HeatResult
from lpbf.mechanics.build import PLATE, Build
from lpbf.mechanics.build_steps import BuildStep, isotropic, scatter
from lpbf.mechanics.thermal_expansion import ThermalExpansion


def thermal_steps(
    build: Build,
    heat: HeatResult,
    material: Material,
    *,
    ambient: float,
    plate_modulus: float | None = None,
    device: str | torch.device,
) -> Iterator[BuildStep]:
    """Yield the steps of a build with thermal strain: the stages of the heat, and the cooling.

    The stress is sigma = E(T) D (B u - eps(T) + eps(T_0) - plastic strain) with the displacement u
    since the activation of the cell at T_0, and the thermal strain eps. From the stress-free
    temperature T_s on the stress and the plastic strain are zero, so the contraction counts from
    there: T_0 is min(deposition temperature, T_s) in a new cell, and T_s in a cell that reached it
    again. Plate, clamped bottom and powder have the temperature of the plate and the same
    expansion. The last step cools part and plate to the ambient temperature.

    Args:
        build: The part in layers; its element matrices are those at the ambient temperature.
        heat: Temperatures of the cells of part and supports, with stages.
        material: Material with thermal expansion.
        ambient: Temperature at the end, degrees Celsius.
        plate_modulus: Young's modulus of the elastic plate, which is constant; None for that of
            the material.
        device: Device of the tensors.
    """
    expansion = ThermalExpansion(material, device)
    limit = material.stress_free_temperature
    is_solid = torch.from_numpy(build.is_solid).to(device)
    own_plate = None
    if plate_modulus is not None:
        own_plate = torch.from_numpy(build.cell_kind == PLATE).to(device)
    stiffness = None
    if isinstance(material.youngs_modulus, Table):
        stiffness = TensorTable(material.youngs_modulus, device)
    at_room = material.youngs_modulus_at(ambient)

    def strain_at(temperature: torch.Tensor) -> torch.Tensor:
        return expansion(temperature if limit is None else temperature.clamp(max=limit))

    def free_strain(temperature: float) -> torch.Tensor:
        return expansion(torch.tensor(temperature, dtype=torch.float64, device=device))

    start = torch.tensor(heat.deposition_temperature, dtype=torch.float64, device=device)
    deposited, plate = strain_at(start), free_strain(heat.preheat)
    before, newest = start.new_zeros(0), -1
    for stage in heat.stages:
        now = strain_at(stage.temperature)
        before = torch.cat([before, deposited.expand(len(now) - len(before))])
        if limit is not None:
            hottest = strain_at(torch.full_like(now, limit))
            before = torch.where(stage.annealed, hottest, before)
        active = is_solid[: build.layer_cells(stage.layer).stop]
        temperature = scatter(stage.temperature, active, stage.plate_temperature)
        factor = None
        if stiffness is not None:
            factor = stiffness(temperature) / at_room
            if own_plate is not None:
                factor = torch.where(own_plate[: len(factor)], 1.0, factor)
        together = free_strain(stage.plate_temperature) - plate
        name = f"layer {stage.layer}" if stage.in_dwell else "cooling"
        yield BuildStep(
            stage.layer if stage.in_dwell else None,
            name if stage.is_last else f"{name} at {stage.time:.4g} s",
            isotropic(now - before - together, active),
            temperature,
            in_equilibrium=False,
            stress_free_strain=float(together),
            activates=stage.layer != newest,
            is_last=stage.is_last,
            stiffness=factor,
            annealed=scatter(stage.annealed, active, False),
        )
        before, newest, plate = now, stage.layer, plate + together
    yield BuildStep(
        None,
        "cooling",
        isotropic(plate - before, is_solid),
        in_equilibrium=False,
        activates=False,
        stress_free_strain=float(free_strain(ambient) - plate),
    )
