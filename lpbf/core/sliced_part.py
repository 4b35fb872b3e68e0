"""A part as closed contours of its layers."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_GAP = 1.5  # largest thickness of a layer over the median of five around it


@dataclass(frozen=True, eq=False)
class SlicedPart:
    """Closed contours of the layers of a part, in mm.

    Attributes:
        name: Its file.
        bottoms: Height of the lower surface of each layer, [L].
        tops: Height of its upper surface, [L], rising.
        contours: Points [P, 2] of the contours of each layer; outer ones run counter-clockwise,
            inner ones clockwise, each from its first point to its last and back.
    """

    name: str
    bottoms: NDArray[np.float64]
    tops: NDArray[np.float64]
    contours: list[list[NDArray[np.float64]]]

    @property
    def bounds(self) -> NDArray[np.float64]:
        """Lower and upper corner of the layers with contours, [2, 3]."""
        points = np.concatenate([c for layer in self.contours for c in layer])
        used = np.flatnonzero([bool(layer) for layer in self.contours])
        low = [*points.min(axis=0), self.bottoms[used[0]]]
        return np.array([low, [*points.max(axis=0), self.tops[used[-1]]]])

    @property
    def volume(self) -> float:
        """Volume of the layers, mm^3; overlapping contours count twice."""
        areas = [sum(signed_area(c) for c in layer) for layer in self.contours]
        return float(np.dot(areas, self.tops - self.bottoms))


def signed_area(points: NDArray[np.float64]) -> float:
    """Area of a polygon [P, 2], positive if it runs counter-clockwise."""
    x, y = (points - points[0]).T
    return float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2


def describe_gaps(
    bottoms: NDArray[np.float64], tops: NDArray[np.float64], filled: NDArray[np.bool_]
) -> str | None:
    """Text about layers that are much thicker than those around them, or None without any.

    Args:
        bottoms: Height of the lower surface of each layer, [L], mm.
        tops: Height of its upper surface, [L], mm.
        filled: Whether it has contours, [L].
    """
    thickness = tops - bottoms
    window = np.arange(len(tops))[:, None] + np.arange(-2, 3)
    window += np.clip(-window[:, :1], 0, None) - np.clip(window[:, -1:] - len(tops) + 1, 0, None)
    usual = np.median(thickness[window.clip(0, len(tops) - 1)], axis=1)
    thick = np.flatnonzero(filled & (thickness > _GAP * usual))
    if not len(thick):
        return None
    most = thick[np.argmax(thickness[thick] / usual[thick])]
    return (
        f"{len(thick)} of {len(tops)} layers are over {_GAP:g} times as thick as the layers around "
        f"them, such as the one from z = {bottoms[most]:g} to {tops[most]:g} mm, where "
        f"{usual[most]:.3g} mm are usual, and are filled by their contours; if layers are missing, "
        f"export the file again"
    )
