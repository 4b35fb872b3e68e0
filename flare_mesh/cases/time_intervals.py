"""Intervals between the steps of time series."""

import warnings
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import median_low

from flare_mesh.io import MeshFileWarning

# Differences of intervals that come from rounded times, relative to the interval.
_ROUNDING = 0.01
_LISTED = 5


def is_equally_spaced(times: Sequence[float], resolution: float = 0.0) -> bool:
    """Whether all intervals between some times are equal, up to rounding.

    Args:
        times: The times, in ascending order.
        resolution: Unit of the last digit of the times, if they are rounded.
    """
    return first_unequal(times, resolution) is None


def first_unequal(times: Sequence[float], resolution: float = 0.0) -> int | None:
    """Index of the first step that is not followed after the usual interval; None if all are."""
    intervals = [b - a for a, b in pairwise(times)]
    if len(intervals) < 2:
        return None
    usual = median_low(intervals)
    # Files may store their times in single precision.
    rounding = max(resolution, 1e-6 * max(map(abs, times)))
    allowed = max(_ROUNDING * usual, min(rounding, usual / 3)) * (1 + 1e-9)
    return next((i for i, one in enumerate(intervals) if not abs(one - usual) <= allowed), None)


def warn_of_unequal_intervals(
    root: Path, series: Iterable[tuple[str, Sequence[float], float]]
) -> None:
    """Warn of series whose steps are not equally far apart, and of intervals that differ.

    Args:
        root: The folder of the series.
        series: Name, times and resolution of the times of each series.
    """
    unequal: list[str] = []
    usual: dict[str, tuple[float, float]] = {}
    for name, times, resolution in sorted(series):
        interval = median_low([b - a for a, b in pairwise(times)])
        start = first_unequal(times, resolution)
        if start is None:
            usual[name] = interval, resolution
        else:
            unequal.append(
                f"'{name}' ({times[start]:g} to {times[start + 1]:g}, usually {interval:g} apart)"
            )
    if unequal:
        _warn(root, "time series with unequal intervals between their steps", unequal)
    first, (interval, resolution) = next(iter(usual.items()), ("", (0.0, 0.0)))
    others = [
        f"'{name}' ({other:g})"
        for name, (other, rounding) in usual.items()
        if abs(other - interval)
        > max(_ROUNDING * interval, min(rounding + resolution, interval / 3))
    ]
    if others:
        _warn(root, f"intervals that differ from that of '{first}', {interval:g}", others)


def _warn(root: Path, what: str, found: Sequence[str]) -> None:
    listed = [
        *found[:_LISTED],
        *([f"and {len(found) - _LISTED} more"] if len(found) > _LISTED else []),
    ]
    warnings.warn(
        f"{root}: {what}: {', '.join(listed)}; a window counts steps and knows no time, so give "
        f"steps of one interval",
        MeshFileWarning,
        stacklevel=4,
    )
