"""Checks of values in the simulator's data classes."""

import math
from contextlib import suppress
from numbers import Integral, Real
from typing import Any

import numpy as np


def check_number(
    owner: str,
    name: str,
    value: Any,
    low: float = -math.inf,
    high: float = math.inf,
    unit: str = "",
    *,
    above: bool = False,
) -> float:
    """Return a finite number as a float, after a check of its bounds.

    Args:
        owner: Name of the object that the value belongs to, for the message.
        name: Name of the value, for the message.
        value: The value.
        low: Lower bound.
        high: Upper bound.
        unit: Unit, for the message.
        above: Whether the lower bound itself is excluded.

    Raises:
        ValueError: If it is not a finite number within the bounds.
    """
    if isinstance(value, Real) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:  # an integer of more than 308 digits
            number = math.inf
        if math.isfinite(number) and low <= number <= high and not (above and number == low):
            return number
    left = "" if low == -math.inf else f"{low:g} {'<' if above else '<='} "
    right = "" if high == math.inf else f" <= {high:g}"
    if left and not right:
        left, right = "", f" {'>' if above else '>='} {low:g}"
    bounds = f"{left}{name}{right}" if left or right else f"a finite {name}"
    raise ValueError(f"{owner}: expected {bounds}{unit and ' ' + unit} (got {value!r})")


def check_field(
    instance: Any,
    name: str,
    low: float = -math.inf,
    high: float = math.inf,
    unit: str = "",
    *,
    above: bool = False,
) -> None:
    """Check a field of a frozen data class as :func:`check_number` does, and make it a float.

    None is accepted if it is the field's default.
    """
    value = getattr(instance, name)
    if value is None and type(instance).__dataclass_fields__[name].default is None:
        return
    number = check_number(type(instance).__name__, name, value, low, high, unit, above=above)
    object.__setattr__(instance, name, number)


def check_count(owner: str, name: str, value: Any, high: int) -> int:
    """Return a whole number from 1 to ``high``; raise a ValueError for anything else."""
    is_whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not is_whole or not 1 <= int(value) <= high:
        raise ValueError(f"{owner}: expected a whole number 1 <= {name} <= {high} (got {value!r})")
    return int(value)


def check_bool(owner: str, name: str, value: Any) -> bool:
    """Return True or False; raise a ValueError for anything else."""
    if not isinstance(value, bool):
        raise ValueError(f"{owner}: expected {name} to be True or False (got {value!r})")
    return value


def check_edges(name: str, value: Any) -> tuple[float, float, float]:
    """Return the three edge lengths of a voxel in mm, given as one length or three.

    Raises:
        ValueError: If they are not positive and finite; the message has the ``name``.
    """
    edges = np.array(np.nan)
    with suppress(TypeError, ValueError):  # the message below says more
        edges = edges if isinstance(value, bool) else np.asarray(value, dtype=np.float64)
    if edges.shape not in ((), (3,)) or not (np.isfinite(edges) & (edges > 0)).all():
        raise ValueError(f"expected {name} as one or three lengths > 0 mm (got {value})")
    x, y, z = np.broadcast_to(edges, 3).tolist()
    return x, y, z
