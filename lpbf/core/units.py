"""Units of length of part files, and the ones in which a part has a plausible size."""

from collections.abc import Iterable
from pathlib import Path

from lpbf.core.errors import PartError

UNITS = {"mm": 1.0, "cm": 10.0, "m": 1000.0, "um": 1e-3, "inch": 25.4, "foot": 304.8}
"""Millimetres of each unit of a part file."""
UNITLESS = (".stl", ".ply", ".obj", ".off")
"""Types of files that have no unit."""

_NAMES = {"inch": "inches", "m": "metres", "cm": "centimetres", "um": "micrometres"}
# Largest extents of usual parts, mm.
_SMALLEST, _LARGEST = 10.0, 300.0


def has_unit(path: str | Path) -> bool:
    """Whether files of this type have a unit of their own."""
    return Path(path).suffix.lower() not in UNITLESS


def unit_scale(path: Path, unit: str | None, own: float | None) -> float:
    """Millimetres of a length 1 of the coordinates that were read from a file.

    Args:
        path: The file.
        unit: The user's unit, one of :data:`UNITS`; None takes the file's own, or mm.
        own: Millimetres of the file's own unit, to which its reader has scaled it; None if it has
            none, or several.

    Raises:
        PartError: If the file has another unit of its own.
    """
    if unit is None:
        return 1.0
    if not has_unit(path):
        return UNITS[unit]
    if own != UNITS[unit]:
        known = "" if own is None else f" ({unit_name(own)})"
        raise PartError(f"{path}: has a unit of its own{known}, not '{unit}'; leave out --unit")
    return 1.0


def unit_name(millimetres: float) -> str:
    """Name of the unit of so many millimetres."""
    return next(name for name, size in UNITS.items() if size == millimetres)


def size_text(sizes: Iterable[float]) -> str:
    """Edge lengths in messages, such as ``"20 x 10 x 5"``."""
    return " x ".join(f"{size:.4g}" for size in sizes)


def other_units(extents: Iterable[float]) -> str:
    """The units in which a part would have a usual size, as advice; empty if there is none.

    Args:
        extents: Extents of the part if its file is in mm.
    """
    sizes = list(extents)
    if _SMALLEST <= max(sizes) <= _LARGEST:
        return ""
    fitting = [u for u in _NAMES if _SMALLEST <= max(sizes) * UNITS[u] <= _LARGEST]
    return ", or ".join(
        f"if it is in {_NAMES[u]}, give --unit {u} ({size_text(s * UNITS[u] for s in sizes)} mm)"
        for u in fitting
    )
