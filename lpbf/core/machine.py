"""Scanning and recoating of a machine, and the time of a build."""

import math
from dataclasses import dataclass
from typing import Any

from flare_mesh.choices import check_choice
from lpbf.core.checks import check_count, check_field
from lpbf.core.mesh import HexMesh


@dataclass(frozen=True)
class Machine:
    """Scanning and recoating of a machine, for an estimate of the build time alone.

    Args:
        scan_speed: mm/s.
        hatch: Distance of the scan vectors, mm.
        layer_thickness: Thickness of a powder layer, mm.
        recoating_time: Time from the end of a layer's exposure to the next one's start, s.
        lasers: Number of lasers that share the exposure equally.

    Raises:
        ValueError: If a value is outside its range.
    """

    scan_speed: float
    hatch: float
    layer_thickness: float
    recoating_time: float
    lasers: int = 1

    def __post_init__(self) -> None:
        check_field(self, "scan_speed", 0, 1e5, "mm/s", above=True)
        check_field(self, "hatch", 0, 2, "mm", above=True)
        check_field(self, "layer_thickness", 0, 1, "mm", above=True)
        check_field(self, "recoating_time", 0, 1e3, "s")
        object.__setattr__(self, "lasers", check_count("Machine", "lasers", self.lasers, 64))

    def build_time(self, mesh: HexMesh, support_fraction: float = 0.0) -> float:
        """Estimated time of a build, s: exposure at the full rate, and recoating of each layer.

            t = (V_part + f V_supports) / (speed hatch thickness lasers)
                + ceil(height / thickness) recoating_time

        Contours, jumps, skywriting, the acceleration of the mirrors, heating and cooling are not in
        it, so that it is a lower estimate.

        Args:
            mesh: The part with its supports.
            support_fraction: Volume fraction f of the supports.
        """
        x, y, z = mesh.spacing
        volume = float(mesh.num_cells)
        if mesh.supports is not None:
            volume += support_fraction * float(mesh.supports.sum())
        rate = self.scan_speed * self.hatch * self.layer_thickness * self.lasers
        height = (int(mesh.cell_index[-1, 2]) + 1) * z
        layers = math.ceil(height / self.layer_thickness * (1 - 1e-9))
        return volume * x * y * z / rate + layers * self.recoating_time


MACHINES = {
    "Ti-6Al-4V": Machine(1200.0, 0.14, 0.03, 10.0),
    "316L": Machine(1083.0, 0.09, 0.02, 10.0),
    "IN718": Machine(960.0, 0.11, 0.04, 10.0),
    "AlSi10Mg": Machine(1300.0, 0.19, 0.03, 10.0),
}
"""Typical values of one laser of about 400 W by material, as publications quote them for the EOS M
290, written down from memory. Replace them with those of your machine."""


def get_machine(machine: Any) -> Any:
    """Return the machine of a name of :data:`lpbf.MACHINES`; anything else as it is.

    Raises:
        ValueError: If the name is unknown.
    """
    if not isinstance(machine, str):
        return machine
    check_choice("unknown machine", machine, MACHINES)
    return MACHINES[machine]
