"""Origin of a calibrated inherent strain."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lpbf.core.checks import check_bool, check_count, check_field, check_number


@dataclass(frozen=True, kw_only=True)
class StrainSource:
    """Measurement from which an inherent strain was identified, and the model it belongs to.

    Args:
        measurement: Name of the measurement's file.
        sha256: SHA-256 of that file, 64 hexadecimal digits; None if there was no file.
        num_values: Number of measured values.
        inherent_strain: The identified strain: the one of the process.
        intervals: 95 % confidence interval (low, high) of each component of the strain; None for a
            component that was given, not identified.
        reduced_chi_square: Chi-square of the residuals over the degrees of freedom: about 1 if the
            model agrees with the measurement within its uncertainty. None without degrees of
            freedom.
        material: Name of the material.
        plasticity: Whether the material yielded.
        pitch: Edge lengths of the voxels, mm.
        layer_height: Height of a simulated layer, mm.

    Raises:
        ValueError: If a value is of another kind or outside its range.
    """

    measurement: str
    sha256: str | None
    num_values: int
    inherent_strain: tuple[float, float, float]
    intervals: tuple[tuple[float, float] | None, ...]
    reduced_chi_square: float | None = None
    material: str
    plasticity: bool
    pitch: tuple[float, float, float]
    layer_height: float

    def __post_init__(self) -> None:
        for name in ("measurement", "material"):
            _check_text(name, getattr(self, name))
        if self.sha256 is not None:
            _check_text("sha256", self.sha256)
            if len(self.sha256) != 64 or set(self.sha256) - set("0123456789abcdef"):
                raise ValueError(
                    f"StrainSource: expected sha256 as 64 hexadecimal digits (got {self.sha256!r})"
                )
        count = check_count("StrainSource", "num_values", self.num_values, 1_000_000_000)
        object.__setattr__(self, "num_values", count)
        check_bool("StrainSource", "plasticity", self.plasticity)
        check_field(self, "reduced_chi_square", 0)
        check_field(self, "layer_height", 0, unit="mm", above=True)
        for name, low in (("inherent_strain", -0.1), ("pitch", 0.0)):
            values = _check_numbers(name, getattr(self, name), 3, low)
            object.__setattr__(self, name, values)
        intervals = self.intervals
        if not isinstance(intervals, Sequence) or isinstance(intervals, str) or len(intervals) != 3:
            raise ValueError(f"StrainSource: expected three intervals (got {intervals!r})")
        pairs = tuple(i if i is None else _check_numbers("an interval", i, 2) for i in intervals)
        object.__setattr__(self, "intervals", pairs)

    def __str__(self) -> str:
        digits = "" if self.sha256 is None else f", sha256 {self.sha256[:12]}"
        return f"calibrated on {self.measurement} ({self.num_values} values{digits})"


def _check_text(name: str, value: Any) -> None:
    if not isinstance(value, str) or not value or not value.isprintable():
        raise ValueError(f"StrainSource: expected {name} as a line of text (got {value!r:.80})")


def _check_numbers(name: str, given: Any, count: int, low: float = -np.inf) -> tuple[float, ...]:
    if not isinstance(given, (Sequence, np.ndarray)) or len(given) != count:
        raise ValueError(f"StrainSource: expected {name} as {count} numbers (got {given!r})")
    return tuple(check_number("StrainSource", name, number, low) for number in given)
