"""Planes of slices and clips."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_NUMBER = r"(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?"
_TERM = rf"(?:{_NUMBER}\*?)?[xyz]"
_EQUATION = re.compile(rf"([-+]?{_TERM}(?:[-+]{_TERM})*)(?:([=<>])([-+]?{_NUMBER}))?")
_FACTOR = re.compile(rf"([-+]?)({_NUMBER})?\*?([xyz])")


@dataclass(frozen=True)
class Plane:
    """A plane, and the side that a clip keeps.

    Attributes:
        normal: Unit normal; a clip keeps the side where it points to. None of ``"x=3"``, where the
            clip removes the side towards the viewer.
        origin: A point of the plane.
        text: What the user gave.
    """

    normal: NDArray[np.float64]
    origin: NDArray[np.float64]
    sided: bool
    text: str

    def kept(self, towards_viewer: NDArray[np.float64]) -> NDArray[np.float64]:
        """Normal that points to the side that a clip keeps."""
        if self.sided or self.normal @ towards_viewer <= 0:
            return self.normal
        return -self.normal


def parse_plane(given: Any, bounds: Sequence[float], name: str) -> Plane:
    """A plane from an equation such as ``"z=10"`` or ``"x+2y<10"``, or from vectors.

    An equation without a number, such as ``"z"`` or ``"x+y"``, goes through the centre.

    Args:
        given: The equation, or a normal, or a pair of a normal and a point of the plane.
        bounds: Of the mesh: smallest and largest x, y and z.
        name: Name of the option, for messages.

    Raises:
        ValueError: If it is something else.
    """
    centre = np.asarray(bounds, dtype=float).reshape(3, 2).mean(axis=1)
    if isinstance(given, str):
        return _from_equation(given, centre, name)
    try:
        array = np.asarray(given, dtype=float)
    except (TypeError, ValueError):
        raise ValueError(_expected(name, given)) from None
    if array.shape not in ((3,), (2, 3)) or not np.isfinite(array).all():
        raise ValueError(_expected(name, given))
    normal = array.reshape(-1, 3)[0]
    length = np.linalg.norm(normal)
    if length == 0:
        raise ValueError(_expected(name, given))
    return Plane(normal / length, array[1] if array.ndim == 2 else centre, True, str(given))


def _from_equation(text: str, centre: NDArray[np.float64], name: str) -> Plane:
    found = _EQUATION.fullmatch("".join(text.lower().split()))
    terms, relation, number = found.groups() if found else ("", None, None)
    factors = np.zeros(3)
    for sign, factor, axis in _FACTOR.findall(terms):
        factors["xyz".index(axis)] += float(f"{sign}{factor or 1}")
    length = np.linalg.norm(factors)
    if not (0 < length < np.inf and np.isfinite(float(number or 0))):
        raise ValueError(_expected(name, text))
    origin = centre.copy()
    if number is not None:  # moved along one axis, so that z=10 is met without rounding
        axis = int(np.abs(factors).argmax())
        origin[axis] = 0.0
        origin[axis] = (float(number) - factors @ origin) / factors[axis]
    normal = factors / length
    return Plane(-normal if relation == "<" else normal, origin, relation in ("<", ">"), text)


def _expected(name: str, given: Any) -> str:
    return (
        f"{name}: expected a plane such as 'z=10', 'z<10', 'x+2y>10' or 'z' for the centre, or a "
        f"normal and a point (got {given!r})"
    )
