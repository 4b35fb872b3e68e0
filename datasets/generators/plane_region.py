"""A rectangle with elliptic holes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Ellipse:
    """An ellipse.

    Args:
        center: Its centre, x and y.
        axes: Lengths of its semi-axes, the longer one first.
        angle: Angle of the longer axis to x, in radians.
    """

    center: tuple[float, float]
    axes: tuple[float, float]
    angle: float = 0.0

    def outline(self, count: int) -> NDArray[np.float64]:
        """Points [count, 2], anticlockwise."""
        phase = np.linspace(0, 2 * np.pi, count, endpoint=False)
        local = np.stack([np.cos(phase), np.sin(phase)], axis=1) * self.axes
        return local @ self._rotation().T + self.center

    def distance(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Distance [P] of points [P, 2], negative inside; of first order near the ellipse."""
        local = (points - self.center) @ self._rotation()
        level = np.hypot(*(local / self.axes).T)
        slope = np.hypot(*(local / np.square(self.axes)).T)
        return level * (level - 1) / np.maximum(slope, 1e-12)

    def _rotation(self) -> NDArray[np.float64]:
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        return np.array([[cos, -sin], [sin, cos]])


@dataclass(frozen=True)
class PlaneRegion:
    """The rectangle [0, length] x [0, height] without some ellipses.

    Args:
        length: Length along x.
        height: Height along y.
        holes: Ellipses that neither touch one another nor the sides.
    """

    length: float
    height: float
    holes: tuple[Ellipse, ...] = ()

    def outlines(self, count: int) -> list[NDArray[np.float64]]:
        """Curves of the boundary: the four sides, open, and each hole with its first point again.

        Args:
            count: Points of each curve.

        Returns:
            Arrays [count, 2].
        """
        corners = np.array([[0, 0], [self.length, 0], [self.length, self.height], [0, self.height]])
        share = np.linspace(0, 1, count)[:, None]
        sides = [a + share * (b - a) for a, b in zip(corners, np.roll(corners, -1, 0), strict=True)]
        rings = [hole.outline(count - 1) for hole in self.holes]
        return sides + [np.concatenate([ring, ring[:1]]) for ring in rings]

    def distance(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Distance [P] of points [P, 2] to the boundary, negative outside of the region."""
        x, y = points.T
        found = np.minimum.reduce([x, self.length - x, y, self.height - y])
        return np.minimum.reduce([found, *(hole.distance(points) for hole in self.holes)])


def draw_holes(
    rng: np.random.Generator,
    count: int,
    *,
    box: tuple[float, float, float, float],
    sizes: tuple[float, float],
    gap: float,
    slenderness: float = 1.0,
) -> tuple[Ellipse, ...]:
    """Random ellipses that keep a distance from each other and from the sides of a box.

    Args:
        rng: Random numbers.
        count: Number of ellipses; fewer if there is no place for all of them.
        box: Smallest x and y, largest x and y.
        sizes: Smallest and largest length of the longer semi-axis.
        gap: Smallest distance.
        slenderness: Largest ratio of the semi-axes.
    """
    holes: list[Ellipse] = []
    for _ in range(200):
        if len(holes) == count:
            break
        size = rng.uniform(*sizes)
        low, high = np.array(box[:2]) + gap + size, np.array(box[2:]) - gap - size
        ratio, angle = rng.uniform(1, slenderness), rng.uniform(0, np.pi)
        center = rng.uniform(low, np.maximum(low, high))
        if (high > low).all() and all(
            np.hypot(*(center - hole.center)) > size + hole.axes[0] + gap for hole in holes
        ):
            holes.append(Ellipse((center[0], center[1]), (size, size / ratio), angle))
    return tuple(holes)
