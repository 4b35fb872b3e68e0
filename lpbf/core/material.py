"""The material of a part."""

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lpbf.core.checks import check_number
from lpbf.core.element import isotropic_elasticity
from lpbf.core.table import Table, as_table

# Unit, lower and upper bound, and whether the lower bound is excluded. The bounds allow any metal,
# but not Pa given for MPa, g/cm^3 for kg/m^3, or um/m for 1.
_RANGES = {
    "youngs_modulus": ("MPa", 0.0, 1e7, True),
    "yield_stress": ("MPa", 0.0, 1e6, True),
    "hardening_modulus": ("MPa", 0.0, 1e7, False),
    "saturation_stress": ("MPa", 0.0, 1e6, False),
    "saturation_rate": ("", 0.0, 1e6, False),
    "thermal_expansion": ("1/K", 0.0, 1e-3, False),
    "density": ("kg/m^3", 30.0, 3e4, False),
    "conductivity": ("W/(m K)", 0.0, 5e3, True),
    "specific_heat": ("J/(kg K)", 10.0, 2e4, False),
    "solidus": ("C", -273.15, 5e3, False),
    "liquidus": ("C", -273.15, 5e3, False),
    "annealing_temperature": ("C", -273.15, 5e3, True),
    "latent_heat": ("J/kg", 0.0, 1e7, False),
}

TABLE_PROPERTIES = (
    *("youngs_modulus", "yield_stress", "hardening_modulus", "saturation_stress"),
    *("thermal_expansion", "conductivity", "specific_heat"),
)
"""Properties that can be a :class:`lpbf.Table` over temperature."""

ROOM_TEMPERATURE = 25.0
"""Temperature in degrees Celsius at which mean coefficients of thermal expansion begin."""


@dataclass(frozen=True)
class Material:
    """An isotropic metal: elastic, and plastic and heat-conducting if the properties are given.

    The flow stress is yield_stress(T) + hardening_modulus(T) p + saturation_stress(T) (1 -
    exp(-saturation_rate p)) with the equivalent plastic strain p: von Mises plasticity with
    isotropic hardening. The thermal strain is thermal_expansion(T) (T - 25 C). The properties of
    :data:`TABLE_PROPERTIES` are numbers or :class:`lpbf.Table` over temperature.

    Args:
        name: Its designation.
        youngs_modulus: E, MPa.
        poisson_ratio: nu, without unit; one number for all temperatures (docs/lpbf.md says why).
        yield_stress: MPa.
        hardening_modulus: Linear hardening, MPa.
        saturation_stress: Limit of the saturating hardening, MPa.
        saturation_rate: Its rate, without unit.
        thermal_expansion: Mean coefficient from 25 C to the temperature, 1/K, as data sheets give
            it.
        density: kg/m^3.
        conductivity: W/(m K).
        specific_heat: J/(kg K), without the latent heat.
        solidus: Degrees Celsius.
        liquidus: Degrees Celsius, at least the solidus.
        latent_heat: Latent heat of melting, J/kg.
        annealing_temperature: Degrees Celsius from which on stress and plastic strain vanish, with
            ``Process.strain = "thermal"``; None takes the solidus.
        sources: Sources of the values, one string each.

    Raises:
        ValueError: If a value is outside its physical range, or another one that it needs is
            missing.
    """

    name: str
    youngs_modulus: float | Table
    poisson_ratio: float
    _: KW_ONLY
    yield_stress: float | Table | None = None
    hardening_modulus: float | Table = 0.0
    saturation_stress: float | Table = 0.0
    saturation_rate: float = 0.0
    thermal_expansion: float | Table | None = None
    density: float | None = None
    conductivity: float | Table | None = None
    specific_heat: float | Table | None = None
    solidus: float | None = None
    liquidus: float | None = None
    latent_heat: float | None = None
    annealing_temperature: float | None = None
    sources: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.strip():
            raise ValueError(f"Material: expected a name (got {self.name!r})")
        owner = f"Material '{self.name}'"
        for name in _RANGES:
            object.__setattr__(self, name, _check_property(owner, name, getattr(self, name)))
        if isinstance(self.poisson_ratio, Table | Mapping):
            raise ValueError(
                f"{owner}: expected poisson_ratio as one number (got a table); give that at the "
                f"ambient temperature"
            )
        ratio = check_number(owner, "poisson_ratio", self.poisson_ratio)
        if not -1 < ratio < 0.5:
            raise ValueError(f"{owner}: expected -1 < poisson_ratio < 0.5 (got {ratio})")
        object.__setattr__(self, "poisson_ratio", ratio)
        sources = (self.sources,) if isinstance(self.sources, str) else self.sources
        if not isinstance(sources, Sequence) or not all(isinstance(s, str) for s in sources):
            raise ValueError(f"{owner}: expected sources as a list of strings (got {sources!r})")
        object.__setattr__(self, "sources", tuple(sources))
        self._check_together(owner)

    def _check_together(self, owner: str) -> None:
        hardening = _largest(self.hardening_modulus), _largest(self.saturation_stress)
        if self.yield_stress is None and max(hardening) > 0:
            raise ValueError(f"{owner}: expected a yield_stress with the hardening (got none)")
        if (hardening[1] > 0) != (self.saturation_rate > 0):
            raise ValueError(
                f"{owner}: expected saturation_stress and saturation_rate both positive, or both 0 "
                f"(got {hardening[1]} MPa and {self.saturation_rate})"
            )
        low, high = self.solidus, self.liquidus
        if (low is None) != (high is None):
            raise ValueError(
                f"{owner}: expected both solidus and liquidus, or neither (got {low} and {high} C)"
            )
        if low is not None and high is not None and high < low:
            raise ValueError(f"{owner}: expected liquidus >= solidus (got {high} and {low} C)")
        if low is None and self.latent_heat:
            raise ValueError(
                f"{owner}: expected solidus and liquidus with the latent_heat (got none)"
            )

    @property
    def elasticity(self) -> NDArray[np.float64]:
        """Stiffness matrix at 25 C, [6, 6] in the order xx, yy, zz, xy, yz, xz, MPa."""
        return self.elasticity_at(ROOM_TEMPERATURE)

    @property
    def stress_free_temperature(self) -> float | None:
        """Degrees Celsius from which on the material bears no stress: that of annealing, or the
        solidus if it is lower; None if neither is given."""
        given = [t for t in (self.annealing_temperature, self.solidus) if t is not None]
        return min(given, default=None)

    def youngs_modulus_at(self, temperature: float) -> float:
        """Young's modulus in MPa at a temperature in degrees Celsius."""
        return as_table(self.youngs_modulus)(temperature)

    def elasticity_at(self, temperature: float) -> NDArray[np.float64]:
        """Stiffness matrix [6, 6] in MPa at a temperature in degrees Celsius."""
        return isotropic_elasticity(self.youngs_modulus_at(temperature), self.poisson_ratio)

    def require(self, *properties: str) -> None:
        """Check that the properties that a model needs are given.

        Raises:
            ValueError: If one is missing.
        """
        missing = [name for name in properties if getattr(self, name) is None]
        if missing:
            raise ValueError(
                f"Material '{self.name}': expected {' and '.join(missing)}, which this process "
                f"needs (got none); add it, or choose a material of lpbf.MATERIALS"
            )


def _largest(value: float | Table) -> float:
    return max(as_table(value).value)


def _check_property(owner: str, name: str, value: Any) -> float | Table | None:
    unit, low, high, above = _RANGES[name]
    if value is None and Material.__dataclass_fields__[name].default is None:
        return None
    if isinstance(value, Table):
        if name not in TABLE_PROPERTIES:
            raise ValueError(
                f"{owner}: expected {name} as one number (got a Table); tables are for "
                f"{', '.join(TABLE_PROPERTIES)}"
            )
        for number in value.value:
            check_number(owner, name, number, low, high, unit, above=above)
        return value
    return check_number(owner, name, value, low, high, unit, above=above)
