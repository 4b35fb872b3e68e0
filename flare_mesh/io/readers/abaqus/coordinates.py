"""Coordinate systems of nodes and positions of instances."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]


@dataclass(frozen=True)
class Frame:
    """A rigid motion: a rotation, then a translation.

    Attributes:
        rotation: Matrix [3, 3], whose columns are the axes of the local system.
        translation: Vector [3].
    """

    rotation: Points
    translation: Points

    def apply(self, points: Points) -> Points:
        """Global coordinates [N, 3] of points in the local system."""
        return points @ self.rotation.T + self.translation


def system_frame(rows: list[Points]) -> Frame | None:
    """The local system of ``*SYSTEM``; None for the global one.

    The first row has the origin and a point on the local x axis, the second a point in the local xy
    plane. Without the second, z remains, and x is projected to the global xy plane.

    Raises:
        ValueError: If the points do not define a system.
    """
    if not rows:
        return None
    if len(rows) > 2 or len(rows[0]) > 6 or len(rows[-1]) > (6 if len(rows) == 1 else 3):
        raise ValueError("expected one or two data lines with 6 and 3 coordinates")
    first = np.pad(rows[0], (0, 6 - len(rows[0])))
    origin, x = first[:3], first[3:] - first[:3]
    if len(rows[0]) < 4:
        if len(rows) == 2:
            raise ValueError("has a point of the xy plane, but none on the x axis")
        return Frame(np.eye(3), origin)
    if len(rows) == 1:
        x, z = np.array([x[0], x[1], 0.0]), np.array([0.0, 0.0, 1.0])
    else:
        z = np.cross(x, np.pad(rows[1], (0, 3 - len(rows[1]))) - origin)
    lengths = np.linalg.norm(x), np.linalg.norm(z)
    if not (np.isfinite(lengths).all() and min(lengths) > 0):
        raise ValueError("has points that coincide or lie on one line, which give no axes")
    x, z = x / lengths[0], z / lengths[1]
    return Frame(np.stack([x, np.cross(z, x), z], 1), origin)


def instance_frame(rows: list[Points]) -> Frame | None:
    """Position of an instance; None if it is that of the part.

    The first row is a translation; the second, which is applied after it, has two points of an axis
    and an angle in degrees.

    Raises:
        ValueError: If the rows are others, or the points of the axis coincide.
    """
    if not rows:
        return None
    if len(rows) > 2 or len(rows[0]) > 3 or len(rows[-1]) > (3 if len(rows) == 1 else 7):
        raise ValueError("expected a translation of 3 numbers, and an axis and angle of 7 numbers")
    shift = np.pad(rows[0], (0, 3 - len(rows[0])))
    if len(rows) == 1:
        return Frame(np.eye(3), shift)
    if len(rows[1]) < 7:
        raise ValueError(
            f"expected two points of an axis and an angle (got {len(rows[1])} numbers)"
        )
    start, axis, angle = rows[1][:3], rows[1][3:6] - rows[1][:3], np.radians(rows[1][6])
    length = np.linalg.norm(axis)
    if not (np.isfinite(length) and length > 0):
        raise ValueError("has an axis whose two points coincide")
    x, y, z = axis / length
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    # Rodrigues' formula.
    rotation = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    return Frame(rotation, rotation @ (shift - start) + start)


def from_cylindrical(points: Points) -> Points:
    """Cartesian coordinates [N, 3] of radius, angle in degrees, and height."""
    angle = np.radians(points[:, 1])
    x, y = points[:, 0] * np.cos(angle), points[:, 0] * np.sin(angle)
    return np.stack([x, y, points[:, 2]], 1)
