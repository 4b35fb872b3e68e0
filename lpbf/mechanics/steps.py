"""The steps of a build."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from lpbf.core.report import StepReport
from lpbf.heat.simulate_heat import HeatResult
from lpbf.mechanics.build import Build
from lpbf.mechanics.equilibrium import Equilibrium


@dataclass(frozen=True)
class Step:
    """One step: a layer is added, or the standing part changes its temperature.

    Attributes:
        layer: The layer that was added, or None.
        name: What reports and errors call it.
        eigenstrain: What each standing cell would strain by if it were free, [n, 6].
        temperature: Of the standing cells, [n], degrees Celsius; None for the process's.
        in_balance: Whether the standing cells were in equilibrium before, with the supports of
            this step; not after a cut.
        shared_strain: Strain of part and plate alike after the step, which stresses nothing.
    """

    layer: int | None
    name: str
    eigenstrain: Tensor
    temperature: Tensor | None = None
    in_balance: bool = True
    shared_strain: float = 0.0


class Stepper(Protocol):
    """A material's law: it solves steps and keeps the state of the cells."""

    def solve(
        self, step: Step, equilibrium: Equilibrium, start: Tensor | None = None
    ) -> tuple[Tensor, StepReport]:
        """Increment of the displacement, [size, 3] in mm."""
        ...

    def cell_stress(self) -> Tensor:
        """Mean stress of the standing cells, [n, 6], MPa."""
        ...

    def internal_force(self) -> Tensor:
        """Nodal forces [size, 3] in N that hold the stress of the standing cells."""
        ...


def steps_of(
    build: Build,
    heat: HeatResult | None,
    *,
    expansion: float | None,
    ambient: float,
    device: str | torch.device,
) -> Iterator[Step]:
    """The layers of a build one after the other, and the cooling to the ambient temperature.

    A layer's inherent strain is what happens to it down to the temperature at the end of its
    dwell; with ``expansion`` (1/K), what it cools or warms after that strains it too: down to the
    temperature of the plate, which has been that all along, and from there together with it.

    Args:
        build: The part in layers.
        heat: Temperatures of the part's cells; None where they do not matter.
        expansion: Of the thermal strain; None for none.
        ambient: Where the cooling ends, degrees Celsius.
        device: Where the tensors live.
    """
    inherent = torch.from_numpy(build.cell_strain).to(device)
    is_part = torch.from_numpy(build.is_part).to(device)
    before = inherent.new_zeros(0)
    for layer in range(build.num_layers):
        newest = build.cells_of(layer)
        strain = inherent[: newest.stop].clone()
        strain[: newest.start] = 0
        temperature = None
        if heat is not None:
            now = heat.after_layer[layer].to(inherent)
            temperature = _on_cells(now, is_part[: newest.stop])
            if expansion is not None:
                strain += _thermal(now[: len(before)] - before, expansion, is_part[: newest.stop])
            before = now
        yield Step(layer, f"layer {layer}", strain, temperature)
    if heat is not None and expansion is not None:
        plate = torch.full_like(before, heat.plate_temperature)
        yield Step(
            None,
            "cooling",
            _thermal(plate - before, expansion, is_part),
            _on_cells(plate, is_part),
            shared_strain=expansion * (ambient - heat.plate_temperature),
        )


def _on_cells(values: Tensor, is_part: Tensor) -> Tensor:
    """Values of the part's leading cells on all standing cells; the others follow none of it."""
    out = values.new_zeros(len(is_part))
    out[torch.nonzero(is_part)[: len(values), 0]] = values
    return out


def _thermal(change: Tensor, expansion: float, is_part: Tensor) -> Tensor:
    strain = _on_cells(expansion * change, is_part)
    return strain[:, None] * strain.new_tensor([1.0, 1, 1, 0, 0, 0])
