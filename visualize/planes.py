"""Planes of slices and clips."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_TEXT = re.compile(r"\s*([xyzXYZ])\s*(?:([=<>])\s*([-+.\deE]+)\s*)?")


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
    """A plane from ``"z=10"``, ``"z<10"``, ``"z>10"``, ``"z"`` (through the centre), or vectors.

    Args:
        given: The text, or a normal, or a pair of a normal and a point of the plane.
        bounds: Of the mesh: smallest and largest x, y and z.
        name: Name of the option, for messages.

    Raises:
        ValueError: If it is something else.
    """
    box = np.asarray(bounds, dtype=float).reshape(3, 2)
    origin = box.mean(axis=1)
    if isinstance(given, str):
        found = _TEXT.fullmatch(given)
        try:
            if found is None:
                raise ValueError(given)
            axis = "xyz".index(found[1].lower())
            if found[3] is not None:
                origin[axis] = float(found[3])
        except ValueError:
            raise ValueError(_expected(name, given)) from None
        normal = np.eye(3)[axis] * (-1.0 if found[2] == "<" else 1.0)
        return Plane(normal, origin, found[2] in ("<", ">"), given)
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
    return Plane(normal / length, array[1] if array.ndim == 2 else origin, True, str(given))


def _expected(name: str, given: Any) -> str:
    return (
        f"{name}: expected a plane such as 'z=10', 'z<10', 'z>10' or 'z' for the centre, or a "
        f"normal and a point (got {given!r})"
    )
