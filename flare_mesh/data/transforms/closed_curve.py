"""Closed curves of straight lines in the plane."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

_PAIRS = 1 << 16  # of a point and a line at a time, which stay within the cache


def lines_of(curve: Any, name: str) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Points [V, 2] and lines [S, 2] of a curve of PyVista in a plane z = const.

    Raises:
        ValueError: If it is no ``pyvista.PolyData``, or does not lie in such a plane.
    """
    if not hasattr(curve, "lines") or not hasattr(curve, "points"):
        raise ValueError(
            f"{name}: expected a pyvista.PolyData of lines as the surface of a flat mesh (got "
            f"{type(curve).__name__})"
        )
    points = np.asarray(curve.points, dtype=np.float64)
    if len(points) and np.ptp(points[:, 2]):
        raise ValueError(f"{name}: expected a curve in a plane z = const for a flat mesh")
    record, lines, start = np.asarray(curve.lines, dtype=np.int64), [], 0
    while start < len(record):
        nodes = record[start + 1 : start + 1 + record[start]]
        lines.append(np.stack([nodes[:-1], nodes[1:]], axis=1))
        start += 1 + len(nodes)
    return points[:, :2], np.concatenate([np.empty((0, 2), np.int64), *lines])


def closed_curve(
    points: NDArray[np.float64], lines: NDArray[np.int64], name: str
) -> NDArray[np.float64]:
    """The ends of the lines, [S, 2, 2], of a curve that encloses areas.

    An even number of lines must meet at every point: that holds for closed curves of one or
    several parts with holes, even where parts touch.

    Args:
        points: [V, 2].
        lines: [S, 2].
        name: Of the transform, for messages.

    Raises:
        ValueError: If there are no lines, or the curve is open.
    """
    points, number = np.unique(points, axis=0, return_inverse=True)
    lines = number.reshape(-1)[lines]
    lines = lines[lines[:, 0] != lines[:, 1]]
    if not len(lines):
        raise ValueError(f"{name}: expected a curve of lines (got none)")
    loose = np.count_nonzero(np.bincount(lines.reshape(-1)) % 2)
    if loose:
        raise ValueError(f"{name}: expected a closed curve (got {loose} loose ends)")
    return points[lines]


def curve_distance(at: NDArray[np.float64], segments: NDArray[np.float64]) -> NDArray[np.float64]:
    """Signed distance [N] of points from a closed curve, negative inside.

    The nearest point of every line, and the parity of the lines that a ray crosses.

    Args:
        at: [N, 2].
        segments: Ends of the lines, [S, 2, 2].
    """
    start, along = segments[:, 0], segments[:, 1] - segments[:, 0]
    share = along / (along**2).sum(axis=1, keepdims=True)
    (x0, y0), (ex, ey), (sx, sy) = start.T, along.T, share.T
    y1, rising = segments[:, 1, 1], ey > 0
    distance = np.empty(len(at))
    step = max(1, _PAIRS // len(segments))
    for first in range(0, len(at), step):
        x, y = at[first : first + step].T[:, :, None]
        dx, dy = x - x0, y - y0
        place = np.clip(dx * sx + dy * sy, 0.0, 1.0)
        square = (dx - place * ex) ** 2 + (dy - place * ey) ** 2
        # Of lines that pass the height of the point, one end included, those to its right.
        crossed = ((y0 > y) != (y1 > y)) & ((ex * dy > ey * dx) == rising)
        inside = np.count_nonzero(crossed, axis=1) % 2
        distance[first : first + step] = np.sqrt(square.min(axis=1)) * (1 - 2 * inside)
    return distance
