"""Parameters of the heat conduction."""

import math
from dataclasses import dataclass

from lpbf.core.checks import check_bool, check_count, check_field


@dataclass(frozen=True, kw_only=True)
class Heat:
    """Deposition, dwell times and heat transfer of a build.

    A simulated layer is deposited at once, cools for ``dwell_time``, and is covered by the next
    one. The default coefficients are plausible, not calibrated.

    Args:
        deposition_temperature: Temperature of a new layer, degrees Celsius; None takes the
            material's liquidus, with the whole latent heat.
        preheat: Temperature of the plate, degrees Celsius; its initial one with a
            ``plate_heat_capacity``.
        dwell_time: Time from one simulated layer to the next, s: for a layer that lumps n powder
            layers, n times the machine's dwell time.
        cooling_time: Time after the last layer's dwell, s.
        plate_coefficient: Heat transfer between the part's bottom and the plate, W/(m^2 K); None
            sets the bottom to the plate's temperature.
        powder_coefficient: Heat transfer through all faces that powder covers, W/(m^2 K).
        powder_temperature: Degrees Celsius; None takes ``preheat``.
        gas_coefficient: Heat transfer to the gas through the newest layer's top, W/(m^2 K):
            convection and radiation together.
        gas_temperature: Degrees Celsius.
        time_steps: Time steps in a dwell, and in the cooling at the end. With ``time_order=1``, on
            a block 32 mm high, the error is about 7 % of the temperature rise above the preheat, or
            4 % with 20 steps that grow by 1.1; with ``time_order=2`` below 1 %.
        growth: Ratio of a time step to the one before it, at least 1.
        time_order: Order of the time steps: 1 (implicit Euler) or 2, whose steps take 2.5 times as
            long and may leave the range of the surrounding temperatures a little.
        plate_heat_capacity: Mass times specific heat of the plate and of what heats up with it,
            J/K: its temperature then follows its heat balance; None for a constant one.
        plate_loss: Heat conductance from the plate to the machine, W/K; without a part the heater
            holds ``preheat``.
        thermal_strain: Whether the thermal strain of the cooling part is added to the inherent
            strain.

    Raises:
        ValueError: If a value is outside its physical range.
    """

    deposition_temperature: float | None = None
    preheat: float = 80.0
    dwell_time: float = 300.0
    cooling_time: float = 0.0
    plate_coefficient: float | None = None
    powder_coefficient: float = 20.0
    powder_temperature: float | None = None
    gas_coefficient: float = 20.0
    gas_temperature: float = 25.0
    time_steps: int = 12
    growth: float = 1.2
    thermal_strain: bool = False
    time_order: int = 1
    plate_heat_capacity: float | None = None
    plate_loss: float = 0.0

    def __post_init__(self) -> None:
        for name in ("deposition_temperature", "powder_temperature", "preheat", "gas_temperature"):
            check_field(self, name, -273.15, 5000, "C", above=True)
        for name in ("powder_coefficient", "gas_coefficient"):
            check_field(self, name, 0, 1e6, "W/(m^2 K)")
        check_field(self, "plate_coefficient", 0, 1e9, "W/(m^2 K)", above=True)
        check_field(self, "dwell_time", 0, 1e7, "s", above=True)
        check_field(self, "cooling_time", 0, 1e7, "s")
        check_field(self, "growth", 1, 4)
        steps = check_count("Heat", "time_steps", self.time_steps, 1_000_000)
        object.__setattr__(self, "time_steps", steps)
        if steps * math.log10(self.growth) > 12:
            raise ValueError(
                f"Heat: expected growth^time_steps <= 1e12 (got {self.growth}^{steps}); the first "
                f"steps would vanish"
            )
        check_bool("Heat", "thermal_strain", self.thermal_strain)
        order = check_count("Heat", "time_order", self.time_order, 2)
        object.__setattr__(self, "time_order", order)
        check_field(self, "plate_heat_capacity", 0, 1e9, "J/K", above=True)
        check_field(self, "plate_loss", 0, 1e6, "W/K")
        if self.plate_loss and self.plate_heat_capacity is None:
            raise ValueError(
                f"Heat: expected a plate_heat_capacity with the plate_loss of {self.plate_loss:g} "
                f"W/K (got none, which is a constant plate temperature); add it, or leave out both"
            )

    def steps(self, duration: float) -> list[float]:
        """Time steps that grow by ``growth`` and add up to ``duration``, s."""
        sizes = [self.growth**n for n in range(self.time_steps)]
        return [duration * size / sum(sizes) for size in sizes]
