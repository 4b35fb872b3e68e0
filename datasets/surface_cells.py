"""Centres, normals and areas of the polygons of a surface."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def surface_cells(
    points: NDArray[Any], nodes: NDArray[Any], ends: NDArray[Any], *, chunk: int = 500_000
) -> NDArray[np.float32]:
    """Mean of the vertices [3], unit normal [3] and area [1] of each polygon, side by side.

    With the vertices p_i in turn around the polygon, the vector of its area is half the sum of
    p_i x p_{i+1}: exact for plane polygons, the mean orientation of others. A polygon without area
    has the normal 0.

    Args:
        points: Coordinates [N, 3].
        nodes: Node numbers of the polygons, one after another.
        ends: Where each polygon ends in ``nodes`` [E].
        chunk: Polygons that are computed at once, in double precision.

    Raises:
        ValueError: If a polygon has fewer than three vertices.
    """
    cells = np.empty((len(ends), 7), dtype=np.float32)
    starts = np.concatenate([[0], ends[:-1]]) if len(ends) else ends
    for first in range(0, len(ends), chunk):
        start, end = starts[first : first + chunk], ends[first : first + chunk]
        count = end - start
        if count.min() < 3:
            raise ValueError(f"polygon {first + int(count.argmin())} has {count.min()} vertices")
        corners = points[nodes[start[0] : end[-1]]].astype(np.float64)
        begin = start - start[0]
        center = np.add.reduceat(corners, begin) / count[:, None]
        # Relative to the centre, or small polygons far from the origin lose their digits.
        corners -= np.repeat(center, count, axis=0)
        following = np.arange(1, len(corners) + 1)
        following[end - start[0] - 1] = begin
        vector = np.add.reduceat(np.cross(corners, corners[following]), begin) / 2
        area = np.linalg.norm(vector, axis=1, keepdims=True)
        normal = np.divide(vector, area, out=np.zeros_like(vector), where=area > 0)
        cells[first : first + chunk] = np.concatenate([center, normal, area], axis=1)
    return cells
