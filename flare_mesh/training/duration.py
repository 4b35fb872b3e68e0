"""Durations as a user writes them."""

import math
import re

_UNITS = {"h": 3600, "m": 60, "s": 1}
_PATTERN = r"(?:(?P<h>\d+(?:\.\d+)?)h)?(?:(?P<m>\d+(?:\.\d+)?)m)?(?:(?P<s>\d+(?:\.\d+)?)s)?"


def parse_duration(value: str | float, name: str = "budget") -> float:
    """Seconds of ``90s``, ``5m``, ``1h30m``, or a number of seconds.

    Args:
        value: The duration.
        name: Name of the option, for the message.

    Raises:
        ValueError: If it is no duration above 0.
    """
    seconds = math.nan
    if isinstance(value, int | float) and not isinstance(value, bool):
        seconds = float(value)
    elif isinstance(value, str):
        text = value.replace(" ", "")
        if found := re.fullmatch(_PATTERN, text):
            parts = found.groupdict()
            if any(parts.values()):
                seconds = sum(_UNITS[unit] * float(part or 0) for unit, part in parts.items())
        elif re.fullmatch(r"\d+(\.\d+)?", text):
            seconds = float(text)
    if not 0 < seconds < math.inf:
        raise ValueError(
            f"{name}: expected a duration such as 90s, 5m, 1h30m, or a number of seconds above 0 "
            f"(got {value!r})"
        )
    return seconds


def format_duration(seconds: float) -> str:
    """A duration in whole seconds, such as ``1h05m``, ``2m30s`` or ``8s``; below one ``0.25s``."""
    if seconds < 1:
        return f"{seconds:.2g}s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes:02}m" if not rest else f"{hours}h{minutes:02}m{rest:02}s"
    if minutes:
        return f"{minutes}m{rest:02}s" if rest else f"{minutes}m"
    return f"{rest}s"
