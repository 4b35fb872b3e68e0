"""Voxels inside a surface."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# Pairs of triangle and grid column in a chunk, which bounds the memory.
_CHUNK = 250_000


class Filled(NamedTuple):
    """Voxels inside a surface.

    Attributes:
        mask: Voxels inside, bool [nx, ny, nz].
        winding: Winding number of the surface about each voxel, [nx, ny, nz]: 1 in a body that
            faces outwards, -1 in one that is inside out. None of an open surface.
    """

    mask: NDArray[np.bool_]
    winding: NDArray[np.int32] | None


def grid_shape(
    extents: NDArray[np.float64], sizes: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float]:
    """Number of voxels along each axis of a part, and of all; infinity if there are too many."""
    with np.errstate(over="ignore"):
        shape = np.maximum(np.rint(extents / sizes), 1)
        return shape, float(shape.prod())


def fill(
    triangles: NDArray[np.float64],
    shape: tuple[int, int, int],
    sizes: NDArray[np.float64],
    origin: NDArray[np.float64],
    watertight: bool,
) -> Filled:
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
    """
    votes = np.zeros(shape, dtype=np.int8)
    for axis in (2, 0, 1):
        order = [(axis + 1) % 3, (axis + 2) % 3, axis]
        counts = tuple(shape[a] for a in order)
        below, total = winding_along_z(triangles[:, :, order], counts, sizes[order], origin[order])
        back = np.argsort(order)
        if watertight and not total.any():
            winding = below.transpose(back)
            return Filled(winding != 0, winding)
        votes += ((below != 0) & (below != total)).transpose(back)
    return Filled(votes >= 2, None)


def winding_along_z(
    triangles: NDArray[np.float64],
    shape: tuple[int, ...],
    sizes: NDArray[np.float64],
    origin: NDArray[np.float64],
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Winding number of each voxel [nx, ny, nz], and the sum of each column, 0 if closed."""
    nx, ny, nz = shape
    lowest = origin[2] + sizes[2] / 2
    # Signed crossings of each column between the centres k - 1 and k.
    crossings = np.zeros(nx * ny * (nz + 1), dtype=np.int32)
    for found in crossings_along_z(triangles, shape, sizes, origin):
        k = np.ceil((found.z - lowest) / sizes[2]).clip(0, nz).astype(np.int64)
        np.add.at(crossings, found.column * (nz + 1) + k, found.sign)
    below = crossings.reshape(nx, ny, nz + 1).cumsum(axis=2, dtype=np.int32)
    return below[:, :, :-1], below[:, :, -1:]


class Crossings(NamedTuple):
    """Crossings of the columns of a grid with a surface, in no order.

    Attributes:
        column: i * ny + j of the column (i, j), [C].
        z: Height, [C].
        sign: 1 where the column enters the body from below, -1 where it leaves it, [C].
        triangle: Number of the triangle, [C].
    """

    column: NDArray[np.int64]
    z: NDArray[np.float64]
    sign: NDArray[np.int32]
    triangle: NDArray[np.int64]


def crossings_along_z(
    triangles: NDArray[np.float64],
    shape: tuple[int, ...],
    sizes: NDArray[np.float64],
    origin: NDArray[np.float64],
) -> Iterator[Crossings]:
    """Yield the crossings of the middles of a grid's columns with a surface, in chunks."""
    nx, ny = shape[:2]
    first = origin + sizes / 2
    low = np.ceil((triangles.min(axis=1) - first) / sizes)[:, :2].clip(0, None).astype(np.int64)
    high = np.floor((triangles.max(axis=1) - first) / sizes)[:, :2].astype(np.int64)
    spans = (np.minimum(high, [nx - 1, ny - 1]) - low + 1).clip(0, None)
    counts = spans.prod(axis=1)
    pending = np.flatnonzero(counts)
    ends = np.cumsum(counts[pending])
    total = int(ends[-1]) if len(ends) else 0
    for start in range(0, total, _CHUNK):
        stop = min(start + _CHUNK, total)
        # The first and the last triangle may have columns in other chunks.
        one, last = np.searchsorted(ends, [start, stop - 1], side="right").tolist()
        batch, end = pending[one : last + 1], ends[one : last + 1]
        begin = end - counts[batch]
        share = np.minimum(end, stop) - np.maximum(begin, start)
        owner = np.repeat(batch, share)
        local = np.arange(start, stop) - np.repeat(begin, share)
        i = low[owner, 0] + local // spans[owner, 1]
        j = low[owner, 1] + local % spans[owner, 1]
        x, y = first[0] + i * sizes[0], first[1] + j * sizes[1]
        corners = triangles[owner]
        sides = np.stack(
            [_side(corners[:, a], corners[:, (a + 1) % 3], x, y) for a in range(3)], axis=1
        )
        hit = np.abs(sides.sum(axis=1)) == 3
        z = _height(corners[hit], x[hit], y[hit])
        sign = -sides[hit, 0].astype(np.int32)
        yield Crossings(i[hit] * ny + j[hit], z, sign, owner[hit])


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
