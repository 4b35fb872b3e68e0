"""Material property as a function of temperature."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from lpbf.core.checks import check_number


@dataclass(frozen=True)
class Table:
    """A property over temperature: piecewise linear, constant outside the table.

    Args:
        temperature: Degrees Celsius, strictly increasing.
        value: The property at each temperature, in its own unit.

    Raises:
        ValueError: If the two differ in length, are empty or not finite, or the temperatures do
            not increase.
    """

    temperature: tuple[float, ...]
    value: tuple[float, ...]

    def __post_init__(self) -> None:
        for name in ("temperature", "value"):
            given = getattr(self, name)
            if isinstance(given, str) or not isinstance(given, (Sequence, np.ndarray)):
                raise ValueError(f"Table: expected {name} as a list of numbers (got {given!r})")
            numbers = tuple(check_number("Table", name, number) for number in given)
            object.__setattr__(self, name, numbers)
        temperature, value = self.temperature, self.value
        if not temperature or len(temperature) != len(value):
            raise ValueError(
                f"Table: expected as many values as temperatures, at least one (got "
                f"{len(temperature)} temperatures and {len(value)} values)"
            )
        if temperature[0] < -273.15:
            raise ValueError(f"Table: expected temperatures > -273.15 C (got {temperature[0]:g})")
        for before, after in itertools.pairwise(temperature):
            if not before < after:
                raise ValueError(
                    f"Table: expected strictly increasing temperatures (got {after:g} C after "
                    f"{before:g} C); sort the rows and give one per temperature"
                )

    @overload
    def __call__(self, temperature: float) -> float: ...
    @overload
    def __call__(self, temperature: Sequence[float] | NDArray[Any]) -> NDArray[np.float64]: ...
    def __call__(self, temperature):
        """Interpolate the property at a temperature in degrees Celsius, or at an array of them."""
        found = np.interp(temperature, self.temperature, self.value)
        return float(found) if np.ndim(found) == 0 else found


def as_table(value: float | Table) -> Table:
    """Return the table; a constant property becomes a table of one row."""
    return value if isinstance(value, Table) else Table((25.0,), (value,))
