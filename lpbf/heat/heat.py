"""Parameters of the heat model."""

import math
from dataclasses import dataclass

ABSOLUTE_ZERO = -273.15


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
        time_steps: Number of time steps in a dwell, and again in the cooling at the end.
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
    growth: float = 1.8
    thermal_strain: bool = False

    def __post_init__(self) -> None:
        above_zero = "above absolute zero, in degrees Celsius"
        for name, unit in {
            "preheat": above_zero,
            "gas_temperature": above_zero,
            "deposition_temperature": f"{above_zero}, or None",
            "powder_temperature": f"{above_zero}, or None",
        }.items():
            value = getattr(self, name)
            optional = value is None and unit.endswith("None")
            if not optional and not (_is_number(value) and value > ABSOLUTE_ZERO):
                raise ValueError(f"Heat: expected {name} {unit} (got {value!r})")
        for name in ("powder_coefficient", "gas_coefficient"):
            self._check(name, 0, "of at least 0 W/(m^2 K)")
        if self.plate_coefficient is not None:
            self._check("plate_coefficient", 0, "> 0 W/(m^2 K), or None", strict=True)
        self._check("dwell_time", 0, "> 0 s", strict=True)
        self._check("cooling_time", 0, "of at least 0 s")
        self._check("growth", 1, "of at least 1")
        if not (isinstance(self.time_steps, int) and _is_number(self.time_steps)) or (
            self.time_steps < 1
        ):
            raise ValueError(
                f"Heat: expected a whole number time_steps of at least 1 (got {self.time_steps!r})"
            )
        if not isinstance(self.thermal_strain, bool):
            raise ValueError(
                f"Heat: expected thermal_strain true or false (got {self.thermal_strain!r})"
            )

    def _check(self, name: str, least: float, expected: str, *, strict: bool = False) -> None:
        value = getattr(self, name)
        if not _is_number(value) or value < least or (strict and value == least):
            raise ValueError(f"Heat: expected {name} {expected} (got {value!r})")

    def steps(self, duration: float) -> list[float]:
        """Time steps in s that grow by ``growth`` and add up to ``duration``."""
        sizes = [self.growth**n for n in range(self.time_steps)]
        return [duration * size / sum(sizes) for size in sizes]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
