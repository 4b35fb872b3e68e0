"""Steps of a build: its layers, and the cooling at the end."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, Self

import torch
from torch import Tensor

from lpbf.core.report import StepReport
from lpbf.heat.simulate_heat import HeatResult
from lpbf.mechanics.build import Build
from lpbf.mechanics.equilibrium import Equilibrium
from lpbf.mechanics.thermal_expansion import ThermalExpansion


@dataclass(frozen=True)
class BuildStep:
    """A step that adds a layer or changes the temperature of the part.

    Attributes:
        layer: The newest layer, until its dwell ends; None after the last dwell.
        name: Name in reports and errors.
        eigenstrain: Strain increment of each active cell if it were free, [n, 6].
        temperature: Temperature of the active cells, [n], degrees Celsius; None for the process's.
        in_equilibrium: Whether the active cells are in equilibrium with the supports of this step
            before it. False after a cut.
        stress_free_strain: Uniform strain of part and plate after the step, which causes no stress.
        activates: Whether the step adds the layer.
        is_last: Whether it is the last step of the layer's dwell, or of the build.
        stiffness: Factor on the stiffness of each active cell by its temperature, [n]; None for 1.
        annealed: Active cells that lose their stress and plastic strain before the step, [n]; None
            for none.
    """

    layer: int | None
    name: str
    eigenstrain: Tensor
    temperature: Tensor | None = None
    in_equilibrium: bool = True
    stress_free_strain: float = 0.0
    activates: bool = True
    is_last: bool = True
    stiffness: Tensor | None = None
    annealed: Tensor | None = None


class Stepper(Protocol):
    """A material law: solves steps and stores the state of the cells."""

    def solve(
        self, step: BuildStep, equilibrium: Equilibrium, start: Tensor | None = None
    ) -> tuple[Tensor, StepReport]:
        """Increment of the displacement, [size, 3] in mm."""
        ...

    def cell_stress(self) -> Tensor:
        """Mean stress of the active cells, [n, 6], MPa."""
        ...

    def cell_fields(self) -> dict[str, Tensor]:
        """Means of the fields of a result in the active cells, [n] or [n, 6], by their names."""
        ...

    def extract(self, build: Build, cells: Tensor) -> Self:
        """Stepper of a build that consists of some of the active cells, with their state."""
        ...


def build_steps(
    build: Build,
    heat: HeatResult | None,
    *,
    expansion: ThermalExpansion | None,
    ambient: float,
    device: str | torch.device,
) -> Iterator[BuildStep]:
    """Yield the steps of a build: one per layer, and the cooling to the ambient temperature.

    The inherent strain covers a layer's cooling until the end of its own dwell. With ``expansion``,
    later temperature changes add thermal strain: until the part has the temperature of the plate,
    and then together with the plate. Plate and clamped bottom expand like the part, so that the
    strain relative to them causes stress.

    Args:
        build: The part in layers.
        heat: Temperatures of the cells of part and supports; None without a heat model.
        expansion: Thermal expansion of the part and its plate; None for no thermal strain.
        ambient: Temperature at the end of the cooling, degrees Celsius.
        device: Device of the tensors.
    """
    inherent = torch.from_numpy(build.cell_strain).to(device)
    is_solid = torch.from_numpy(build.is_solid).to(device)
    before, plate = inherent.new_zeros(0), inherent.new_zeros(1)
    if heat is not None:
        plate += heat.preheat
    for layer in range(build.num_layers):
        newest = build.layer_cells(layer)
        strain = inherent[: newest.stop].clone()
        strain[: newest.start] = 0
        temperature, together = None, 0.0
        if heat is not None:
            now = heat.after_layer[layer].to(inherent)
            temperature = scatter(now, is_solid[: newest.stop], heat.plate_after_layer[layer])
            if expansion is not None:
                plate_now = torch.full_like(plate, heat.plate_after_layer[layer])
                together = float(expansion(plate_now) - expansion(plate))
                change = -together * torch.ones_like(now)
                change[: len(before)] += expansion(now[: len(before)]) - expansion(before)
                plate = plate_now
                strain += isotropic(change, is_solid[: newest.stop])
            before = now
        yield BuildStep(layer, f"layer {layer}", strain, temperature, stress_free_strain=together)
    if heat is not None and expansion is not None:
        cold = torch.full_like(plate, ambient)
        yield BuildStep(
            None,
            "cooling",
            isotropic(expansion(plate) - expansion(before), is_solid),
            plate.expand(len(is_solid)).clone(),
            stress_free_strain=float(expansion(cold) - expansion(plate)),
        )


def scaled(factor: Tensor | None, stiffness: Tensor | None) -> Tensor | None:
    """Product of the build's factors on the stiffness [E] and those of a step [n]; None for 1."""
    if factor is None or stiffness is None:
        return factor if stiffness is None else stiffness
    return factor[: len(stiffness)] * stiffness


def scatter(values: Tensor, is_solid: Tensor, other: float = 0.0) -> Tensor:
    """Values of the first cells of part and supports on all active cells; ``other`` on the rest."""
    out = values.new_full((len(is_solid),), other)
    out[torch.nonzero(is_solid)[: len(values), 0]] = values
    return out


def isotropic(change: Tensor, is_solid: Tensor) -> Tensor:
    """Strain [n] of the first cells of part and supports in each direction, on all active cells,
    [n, 6]."""
    strain = scatter(change, is_solid)
    return strain[:, None] * strain.new_tensor([1.0, 1, 1, 0, 0, 0])
