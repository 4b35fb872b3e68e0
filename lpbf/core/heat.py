"""Parameters of the heat model."""

import math
from dataclasses import dataclass

from lpbf.core.checks import check_bool, check_number


@dataclass(frozen=True, kw_only=True)
class Heat:
    """How heat comes into a part and leaves it while it is built.

    A simulated layer is deposited hot all at once, cools for ``dwell_time`` and is covered by the
    next. The default coefficients are plausible, not calibrated.

    Args:
        deposition_temperature: Temperature of a fresh layer, degrees Celsius; None takes the
            material's liquidus. Its enthalpy includes the latent heat.
        preheat: Temperature of the plate, degrees Celsius.
        dwell_time: Seconds from one simulated layer to the next: of a layer that lumps n powder
            layers, n times what the machine takes for one.
        cooling_time: Seconds after the last layer's dwell; the plate keeps its temperature.
        plate_coefficient: Heat transfer between the part's bottom and the plate, W/(m^2 K); None
            for a bottom at the plate's temperature.
        powder_coefficient: Heat transfer to the powder through all faces that the powder covers,
            W/(m^2 K).
        powder_temperature: Degrees Celsius; None takes ``preheat``.
        gas_coefficient: Heat transfer to the gas through the newest layer's top, convection and
            radiation together, W/(m^2 K).
        gas_temperature: Degrees Celsius.
        time_steps: Number of time steps in a dwell, and again in the cooling at the end. First
            order: on a block 32 mm high the default leaves about 6 % of the rise above the preheat,
            20 steps that grow by 1.1 about 3 %.
        growth: Ratio of a time step to the one before it, 1 or more.
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

    def __post_init__(self) -> None:
        for name in ("deposition_temperature", "powder_temperature", "preheat", "gas_temperature"):
            if getattr(self, name) is not None or name in ("preheat", "gas_temperature"):
                self._check(name, -273.15, 5000, "C", above=True)
        for name in ("powder_coefficient", "gas_coefficient"):
            self._check(name, 0, 1e6, "W/(m^2 K)")
        if self.plate_coefficient is not None:
            self._check("plate_coefficient", 0, 1e9, "W/(m^2 K)", above=True)
        self._check("dwell_time", 0, 1e7, "s", above=True)
        self._check("cooling_time", 0, 1e7, "s")
        self._check("growth", 1, 4, "")
        steps = self.time_steps
        if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
            raise ValueError(
                f"Heat: expected a whole number time_steps of at least 1 (got {steps!r})"
            )
        if steps * math.log10(self.growth) > 12:
            raise ValueError(
                f"Heat: expected growth^time_steps of at most 1e12, or the first steps vanish "
                f"(got {self.growth}^{steps})"
            )
        check_bool("Heat", "thermal_strain", self.thermal_strain)

    def _check(self, name: str, low: float, high: float, unit: str, *, above: bool = False) -> None:
        value = check_number("Heat", name, getattr(self, name), low, high, unit, above=above)
        object.__setattr__(self, name, value)

    def steps(self, duration: float) -> list[float]:
        """Time steps in s that grow by ``growth`` and add up to ``duration``."""
        sizes = [self.growth**n for n in range(self.time_steps)]
        return [duration * size / sum(sizes) for size in sizes]
