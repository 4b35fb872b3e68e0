"""Colour maps and ranges of fields, the same in all pictures."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flare_mesh.choices import nearest

INK = "#1f2933"
"""Colour of texts and outlines."""

WARNING = "#d00000"
"""Colour of warnings."""

MISSING = "#f032e6"
"""Colour of values that are NaN or infinite, in none of the maps."""

PLAIN = "#b8c4ce"
"""Colour of a mesh without a field."""

SEQUENTIAL, DIVERGING, ERROR = "viridis", "coolwarm", "inferno"
"""Maps that can be told apart without red or green: of values, of signed values, of errors."""

NUM_LABELS = 5
"""Numbers at a colour bar."""

_SIGNED = 0.1
# A field whose range is a smaller share of its values is constant, up to the rounding of float32.
_ROUNDING = 1.2e-7
# Half-width of the range of a constant field, as a share of its value.
_CONSTANT = 0.01


@dataclass(frozen=True)
class Colours:
    """A colour map and its range.

    Attributes:
        map: Name of a colour map.
        low: Value of the first colour.
        high: Value of the last colour.
        constant: Whether all values are the same up to rounding, and no range was given.
    """

    map: str
    low: float
    high: float
    constant: bool = False

    @property
    def number_format(self) -> str:
        """Format in which the :data:`NUM_LABELS` numbers at the colour bar differ."""
        largest = max(abs(self.low), abs(self.high))
        step = self.high / (NUM_LABELS - 1) - self.low / (NUM_LABELS - 1)
        if step == 0:  # below the smallest number
            return "%.3g"
        decimals = -math.floor(math.log10(step))
        if 1e3 <= largest < 1e6:  # without exponents, which are no shorter here
            return f"%.{max(0, min(decimals, 9))}f"
        return f"%.{max(3, min(decimals + math.floor(math.log10(largest)) + 1, 12))}g"


def choose_colours(
    values: Iterable[NDArray[np.floating]],
    *,
    limits: tuple[float, float] | None = None,
    cmap: str | None = None,
    error: bool = False,
) -> Colours:
    """Colours of some fields that share them.

    The range is from the smallest to the largest finite value. Signed values get a range around
    zero and the map :data:`DIVERGING`; others :data:`SEQUENTIAL`, or :data:`ERROR` from zero if
    they are errors. A field counts as signed if the smaller side of zero is at least a tenth of the
    larger, and an error if any value is negative.

    Args:
        values: Arrays of any shape.
        limits: The range; None for that of the values.
        cmap: Name of a colour map; None for the one above.
        error: Whether the values are errors.

    Raises:
        ValueError: If the limits are not finite or not in ascending order, or there is no such map.
    """
    if cmap is not None:
        _check_map(cmap)
    found = [array[np.isfinite(array)] for array in values]
    found = [array for array in found if array.size]
    low = float(min((array.min() for array in found), default=0.0))
    high = float(max((array.max() for array in found), default=0.0))
    constant = limits is None and high - low <= _ROUNDING * max(abs(low), abs(high))
    if limits is not None:
        low, high = map(float, limits)
        if not (np.isfinite([low, high]).all() and low < high):
            raise ValueError(f"expected clim as two ascending finite numbers (got {limits})")
    largest = max(-low, high)
    signed = low < 0 < high and min(-low, high) >= _SIGNED * largest
    if error and low < 0:
        signed, largest = True, max(-low, abs(high))
    if limits is None:
        if constant:
            pad = max(abs(low), abs(high)) * _CONSTANT or 1.0
            low, high = low - pad, high + pad
        elif signed:
            low, high = -largest, largest
        elif error and low > 0:
            low = 0.0
    usual = DIVERGING if signed else ERROR if error else SEQUENTIAL
    return Colours(cmap or usual, low, high, constant)


def _check_map(name: str) -> None:
    from matplotlib import colormaps
    from pyvista.plotting.colors import get_cmap_safe

    try:
        get_cmap_safe(name)  # knows maps of packages beside matplotlib's
    except (ImportError, TypeError, ValueError):
        usual = f"such as {SEQUENTIAL}, cividis or {DIVERGING}"
        near = nearest(name, colormaps)
        advice = near if near.startswith("did") else f"choose one {usual}"
        raise ValueError(f"cmap: unknown colour map '{name}'; {advice}") from None
