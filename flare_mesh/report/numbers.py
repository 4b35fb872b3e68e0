"""Numbers as texts."""

import math
from collections.abc import Sequence

UNKNOWN = "\N{EN DASH}"
"""Text for a number that is not known."""


def short(value: float | None) -> str:
    """Four digits; a dash for what is unknown."""
    return UNKNOWN if value is None or not math.isfinite(value) else f"{value:.4g}"


def percent(value: float | None) -> str:
    """A share in per cent with one digit."""
    return UNKNOWN if value is None or not math.isfinite(value) else f"{100 * value:.1f} %"


def seconds(value: float) -> str:
    """A time in a unit that suits it."""
    if value < 120:
        return f"{value:.3g} s"
    return f"{value / 60:.1f} min" if value < 7200 else f"{value / 3600:.1f} h"


def mebibytes(value: float) -> str:
    """A size of memory."""
    return f"{value / 2**20:,.0f} MiB"


def quantile(values: Sequence[float], share: float) -> float:
    """Quantile of sorted values, by linear interpolation."""
    place = share * (len(values) - 1)
    below = math.floor(place)
    above = min(below + 1, len(values) - 1)
    return values[below] + (place - below) * (values[above] - values[below])
