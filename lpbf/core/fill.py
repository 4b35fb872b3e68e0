"""Voxels inside a surface."""

import numpy as np
from numpy.typing import NDArray

# Pairs of triangle and grid column in a chunk, which bounds the memory.
_CHUNK = 2_000_000


def fill(
    triangles: NDArray[np.float64],
    shape: tuple[int, int, int],
    sizes: NDArray[np.float64],
    origin: NDArray[np.float64],
    watertight: bool,
) -> NDArray[np.bool_]:
    """Voxels of a grid whose centres lie inside a surface.

    Inside is where the signed number of surface crossings along a grid line is not zero, so
    overlapping bodies are united and shells facing inwards are cavities. If the surface is open,
    the majority of the lines along the three axes decides.

    Args:
        triangles: Corners of the triangles, [T, 3, 3].
        shape: Number of voxels along each axis.
        sizes: Edge lengths of a voxel, [3].
        origin: Lower corner of the grid, [3].
        watertight: Whether the surface is closed.

    Returns:
        bool [nx, ny, nz].
    """
    votes = np.zeros(shape, dtype=np.int8)
    for axis in (2, 0, 1):
        order = [(axis + 1) % 3, (axis + 2) % 3, axis]
        counts = tuple(shape[a] for a in order)
        inside, closed = _fill_along_z(triangles[:, :, order], counts, sizes[order], origin[order])
        inside = inside.transpose(np.argsort(order))
        if watertight and closed:
            return inside
        votes += inside
    return votes >= 2


def _fill_along_z(
    triangles: NDArray[np.float64],
    shape: tuple[int, ...],
    sizes: NDArray[np.float64],
    origin: NDArray[np.float64],
) -> tuple[NDArray[np.bool_], bool]:
    """Voxels inside by the crossings along each z column, and whether all columns are closed."""
    nx, ny, nz = shape
    first = origin + sizes / 2
    low = np.ceil((triangles.min(axis=1) - first) / sizes)[:, :2].clip(0, None).astype(np.int64)
    high = np.floor((triangles.max(axis=1) - first) / sizes)[:, :2].astype(np.int64)
    spans = (np.minimum(high, [nx - 1, ny - 1]) - low + 1).clip(0, None)
    counts = spans.prod(axis=1)

    # crossings[i, j, k]: signed crossings of column (i, j) between the centres k - 1 and k.
    crossings = np.zeros(nx * ny * (nz + 1), dtype=np.int64)
    pending = np.flatnonzero(counts)
    ends = np.cumsum(counts[pending])
    for start in range(0, int(ends[-1]) if len(ends) else 0, _CHUNK):
        batch = pending[(ends > start) & (ends <= start + _CHUNK)]
        owner = np.repeat(batch, counts[batch])
        local = np.arange(len(owner)) - np.repeat(
            np.cumsum(counts[batch]) - counts[batch], counts[batch]
        )
        i = low[owner, 0] + local // spans[owner, 1]
        j = low[owner, 1] + local % spans[owner, 1]
        x, y = first[0] + i * sizes[0], first[1] + j * sizes[1]
        corners = triangles[owner]
        sides = np.stack(
            [_side(corners[:, a], corners[:, (a + 1) % 3], x, y) for a in range(3)], axis=1
        )
        hit = np.abs(sides.sum(axis=1)) == 3
        corners, sign = corners[hit], sides[hit, 0]
        z = _height(corners, x[hit], y[hit])
        k = np.ceil((z - first[2]) / sizes[2]).clip(0, nz).astype(np.int64)
        cell = (i[hit] * ny + j[hit]) * (nz + 1) + k
        np.add.at(crossings, cell, sign)

    below = crossings.reshape(nx, ny, nz + 1).cumsum(axis=2)
    total, below = below[:, :, -1:], below[:, :, :-1]
    return (below != 0) & (total != below), not total.any()


def _side(a, b, x, y) -> NDArray[np.int64]:
    """Side, +1 or -1, of the line from a to b (in the xy plane) on which (x, y) lies.

    The two triangles at an edge get exactly opposite signs: the ends are sorted first, so that the
    rounding is the same, and a point on the line is shifted by an infinitesimal (d, d^2).
    """
    swap = (a[:, 0] > b[:, 0]) | ((a[:, 0] == b[:, 0]) & (a[:, 1] > b[:, 1]))
    p, q = np.where(swap[:, None], b, a), np.where(swap[:, None], a, b)
    dx, dy = q[:, 0] - p[:, 0], q[:, 1] - p[:, 1]
    area = dx * (y - p[:, 1]) - dy * (x - p[:, 0])
    area = np.where(area == 0, np.where(dy != 0, -dy, dx), area)
    return np.where(swap, -1, 1) * np.where(area > 0, 1, -1)


def _height(corners, x, y) -> NDArray[np.float64]:
    """Height z of each triangle's plane at (x, y), clipped to the triangle's own range."""
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    normal = np.cross(b - a, c - a)
    steep = normal[:, 2] == 0
    rise = normal[:, 0] * (x - a[:, 0]) + normal[:, 1] * (y - a[:, 1])
    z = a[:, 2] - rise / np.where(steep, 1.0, normal[:, 2])
    return z.clip(corners[:, :, 2].min(axis=1), corners[:, :, 2].max(axis=1))
