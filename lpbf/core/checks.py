"""Checks of single values that the simulator's data classes share."""

import difflib
import math
from collections.abc import Collection
from numbers import Real
from typing import Any


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
    """The value as a float, if it is a finite number within its range.

    Args:
        owner: Whose value it is, for the message.
        name: The value's name, for the message.
        value: What was given.
        low: Least value.
        high: Largest value.
        unit: For the message.
        above: Whether ``low`` itself is excluded.

    Raises:
        ValueError: If it is not; names the owner, the value and the range.
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


def check_bool(owner: str, name: str, value: Any) -> bool:
    """The value, if it is True or False.

    Raises:
        ValueError: If it is not.
    """
    if not isinstance(value, bool):
        raise ValueError(f"{owner}: expected {name} to be True or False (got {value!r})")
    return value


def check_choice(kind: str, value: Any, choices: Collection[str], more: str = "") -> str:
    """The value, if it is one of the choices.

    Raises:
        ValueError: If it is not; names the nearest choice, if one is near, and all of them.
    """
    if isinstance(value, str) and value in choices:
        return value
    near = difflib.get_close_matches(str(value), choices, n=1)
    hint = f" (do you mean '{near[0]}'?)" if near else ""
    raise ValueError(f"unknown {kind} '{value}'{hint}; choose from {list(choices)}{more}")
