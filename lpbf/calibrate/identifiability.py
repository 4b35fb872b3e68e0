"""What a measurement can and cannot tell about the strains, in words."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lpbf.calibrate.least_squares import Fit

# Half-width of an interval over the largest strain above which a strain counts as hardly known.
_WEAK = 0.5
_REMEDY = "measure more points or other components, or identify fewer strains (parameters)"


def check_identifiable(fit: Fit, names: Sequence[str]) -> None:
    """Refuse a measurement that does not depend on some combination of the strains.

    Raises:
        ValueError: If there is one; names it.
    """
    unknown = fit.directions[np.isinf(fit.errors)]
    if len(unknown) == len(names):
        raise ValueError(
            f"the measured values do not depend on the inherent strain ({', '.join(names)}); "
            f"{_REMEDY}"
        )
    if len(unknown):
        raise ValueError(f"{_combination(unknown[0], names)}; {_REMEDY}")


def weak_directions(
    fit: Fit, numbers: NDArray[np.float64], quantile: float, names: Sequence[str]
) -> list[str]:
    """Describe each combination of the strains whose interval is over half the largest strain."""
    size = np.abs(numbers).max()
    return [
        f"{_combination(direction, names, 'hardly ')}: the 95 % interval of "
        f"{_formula(direction, names)} is +-{quantile * error:.2g}; {_REMEDY}"
        for direction, error in zip(fit.directions, fit.errors, strict=True)
        if quantile * error > _WEAK * size
    ]


def _combination(direction: NDArray[np.float64], names: Sequence[str], hardly: str = "") -> str:
    large = _large(direction)
    if len(large) == 1:
        verb = "hardly depend" if hardly else "do not depend"
        return f"the measured values {verb} on {names[large[0]]}"
    listed = " and ".join(names[i] for i in large)
    verb = "hardly tell" if hardly else "do not tell"
    return f"the measured values {verb} {listed} apart"


def _formula(direction: NDArray[np.float64], names: Sequence[str]) -> str:
    """The combination as text, such as ``0.71 exx - 0.70 eyy``."""
    large = _large(direction)
    if len(large) == 1:
        return names[large[0]]
    sign = np.sign(direction[large[0]])
    text = ""
    for i in large:
        value = sign * direction[i]
        joint = (" + " if value > 0 else " - ") if text else ""
        text += f"{joint}{abs(value):.2f} {names[i]}"
    return text


def _large(direction: NDArray[np.float64]) -> list[int]:
    size = np.abs(direction)
    return [int(i) for i in np.flatnonzero(size > 0.2 * size.max())]
