"""A measured component of the displacement at a point."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flare_mesh.choices import check_choice
from lpbf.core.checks import check_field, check_number

AXES = ("x", "y", "z")


@dataclass(frozen=True, kw_only=True)
class MeasuredPoint:
    """One measured value: a component of the displacement of the released part at a point.

    Args:
        position: Nominal position (x, y, z) in the coordinates of the part, mm.
        component: ``"x"``, ``"y"``, ``"z"``, or a direction (x, y, z) of any length.
        value: Measured minus nominal position along the component, mm.
        uncertainty: Standard deviation of the value, mm; None takes that of the measurement.

    Raises:
        ValueError: If a value is of another kind or outside its range.
    """

    position: tuple[float, float, float]
    component: str | tuple[float, float, float]
    value: float
    uncertainty: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "position", _vector("position", self.position))
        if isinstance(self.component, str):
            check_choice("MeasuredPoint: unknown component", self.component, AXES)
        else:
            component = _vector("component", self.component)
            if math.hypot(*component) == 0:
                raise ValueError(
                    "MeasuredPoint: expected a component with a length (got the direction 0, 0, 0)"
                )
            object.__setattr__(self, "component", component)
        if self.value is None:
            raise ValueError("MeasuredPoint: expected the measured value in mm (got none)")
        check_field(self, "value", -1e3, 1e3, "mm")
        check_field(self, "uncertainty", 0, 1e3, "mm", above=True)

    @property
    def direction(self) -> NDArray[np.float64]:
        """Unit vector of the component, [3]."""
        if isinstance(self.component, str):
            return np.eye(3)[AXES.index(self.component)]
        return np.array(self.component) / math.hypot(*self.component)

    @property
    def component_text(self) -> str:
        """The component in tables: ``"z"`` or ``"(0, 0.6, 0.8)"``."""
        if isinstance(self.component, str):
            return self.component
        return f"({', '.join(f'{value:.3g}' for value in self.component)})"


def _vector(name: str, given: object) -> tuple[float, ...]:
    if not isinstance(given, (Sequence, np.ndarray)) or isinstance(given, str) or len(given) != 3:
        raise ValueError(f"MeasuredPoint: expected {name} as (x, y, z) (got {given!r:.80})")
    return tuple(check_number("MeasuredPoint", name, number, -1e6, 1e6) for number in given)
