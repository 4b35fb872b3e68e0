"""Tree of bounding boxes of triangles, and offsets from the nearest one."""

import numpy as np
from numpy.typing import NDArray

from flare_mesh.compiled.jit import jit

_LEAF = 4  # triangles in a leaf
# Cross products of smaller sines are rounding: the triangle is a line.
_SMALLEST_SINE = 1e-10
# Relative difference of squared distances below which points are equally near.
_TIE = 2e-4
# Equally near points that are closer together than this share of their distance are one.
_SAME = 1e-3
_MOST_TIES = 64


def box_tree(
    triangles: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Order triangles into a complete binary tree of bounding boxes.

    Box 0 is the root, 2 i + 1 and 2 i + 2 are the halves of box i, divided at the median of the
    centroids along the longest side. The last level has the leaves in order, each with an equal
    number of triangles: the last triangle is repeated to fill them.

    Args:
        triangles: Corners, [F, 3, 3]; F at least 1.

    Returns:
        The triangles in the order of the leaves [L, 3, 3], and the corners of the boxes with the
        smallest and with the largest coordinates [boxes, 3].
    """
    depth = max(0, int(np.ceil(np.log2(len(triangles) / _LEAF))))
    order = np.minimum(np.arange(_LEAF << depth), len(triangles) - 1)
    centroids = triangles.mean(axis=1)
    for level in range(depth):
        blocks = order.reshape(1 << level, -1)
        places = centroids[blocks]
        axis = np.ptp(places, axis=1).argmax(axis=1)
        along = np.take_along_axis(places, axis[:, None, None], axis=2)[:, :, 0]
        order = np.take_along_axis(blocks, along.argsort(axis=1), axis=1).reshape(-1)
    triangles = triangles[order]
    low = [triangles.min(axis=1).reshape(1 << depth, _LEAF, 3).min(axis=1)]
    high = [triangles.max(axis=1).reshape(1 << depth, _LEAF, 3).max(axis=1)]
    for _ in range(depth):
        low.append(np.minimum(low[-1][::2], low[-1][1::2]))
        high.append(np.maximum(high[-1][::2], high[-1][1::2]))
    return triangles, np.concatenate(low[::-1]), np.concatenate(high[::-1])


@jit
def nearest_offsets(points, triangles, low, high, distances, offsets):
    """Write distances [P] and offsets [P, 3] of points [P, 3] from the nearest triangle of a tree.

    The offset points from the nearest point of the triangles. Where several are equally near, to
    1e-4 of the distance, it is the mean over these points: between two parallel walls it is 0. It
    does not depend on the order of the triangles, unless more than 64 are equally near.
    """
    first_leaf = len(low) // 2
    leaf = len(triangles) // (len(low) - first_leaf)
    boxes, squares = np.empty(64, np.int64), np.empty(64)
    near_points = np.empty((_MOST_TIES, 4))  # offsets and their squares
    for i in range(len(points)):
        x, y, z = points[i, 0], points[i, 1], points[i, 2]
        best, ties = np.inf, 0
        if i > 0:
            # The distance changes by no more than the step from the point before.
            dx, dy, dz = x - points[i - 1, 0], y - points[i - 1, 1], z - points[i - 1, 2]
            best = (distances[i - 1] + np.sqrt(dx * dx + dy * dy + dz * dz)) ** 2 * (1 + 1e-9)
        for _ in range(2):
            boxes[0], squares[0], count = 0, 0.0, 1
            while count:
                count -= 1
                box = boxes[count]
                if squares[count] > best * (1 + _TIE):
                    continue
                if box >= first_leaf:
                    start = (box - first_leaf) * leaf
                    for t in range(start, start + leaf):
                        ox, oy, oz = _triangle_offset(x, y, z, triangles, t)
                        square = ox * ox + oy * oy + oz * oz
                        if square <= best * (1 + _TIE):
                            best = min(best, square)
                            ties = _add_near_point(near_points, ties, best, ox, oy, oz, square)
                    continue
                near, far = 2 * box + 1, 2 * box + 2
                near_square = _box_square(x, y, z, low, high, near)
                far_square = _box_square(x, y, z, low, high, far)
                if near_square > far_square:
                    near, far = far, near
                    near_square, far_square = far_square, near_square
                if far_square <= best * (1 + _TIE):
                    boxes[count], squares[count] = far, far_square
                    count += 1
                if near_square <= best * (1 + _TIE):
                    boxes[count], squares[count] = near, near_square
                    count += 1
            if ties:
                break
            # On a face, rounding can be more than the distance and the step.
            best = np.inf
        ties = _drop_far_points(near_points, ties, best)
        distances[i] = np.sqrt(best) if ties else np.nan  # as of a point that is NaN
        for axis in range(3):
            total = 0.0
            for tie in range(ties):
                total += near_points[tie, axis]
            offsets[i, axis] = total / ties if ties else np.nan


@jit
def _add_near_point(near_points, ties, best, ox, oy, oz, square):
    """Add an offset to those of the nearest points, of one point the nearest; their number."""
    ties = _drop_far_points(near_points, ties, best)
    for tie in range(ties):
        dx, dy, dz = near_points[tie, 0] - ox, near_points[tie, 1] - oy, near_points[tie, 2] - oz
        if dx * dx + dy * dy + dz * dz <= _SAME**2 * square:
            if square < near_points[tie, 3]:
                _set_near_point(near_points, tie, ox, oy, oz, square)
            return ties
    if ties < _MOST_TIES:
        _set_near_point(near_points, ties, ox, oy, oz, square)
        ties += 1
    return ties


@jit
def _set_near_point(near_points, tie, ox, oy, oz, square):
    near_points[tie, 0], near_points[tie, 1], near_points[tie, 2] = ox, oy, oz
    near_points[tie, 3] = square


@jit
def _drop_far_points(near_points, ties, best):
    """Keep the offsets that are as near as the best one; their number."""
    kept = 0
    for tie in range(ties):
        if near_points[tie, 3] <= best * (1 + _TIE):
            near_points[kept] = near_points[tie]
            kept += 1
    return kept


@jit
def _box_square(x, y, z, low, high, box):
    """Squared distance of a point from a box."""
    dx = max(low[box, 0] - x, 0.0, x - high[box, 0])
    dy = max(low[box, 1] - y, 0.0, y - high[box, 1])
    dz = max(low[box, 2] - z, 0.0, z - high[box, 2])
    return dx * dx + dy * dy + dz * dz


@jit
def _triangle_offset(x, y, z, triangles, t):
    """Offset of a point from the closest one of a triangle, which may be a line or a point."""
    ax, ay, az = triangles[t, 0, 0], triangles[t, 0, 1], triangles[t, 0, 2]
    bx, by, bz = triangles[t, 1, 0] - ax, triangles[t, 1, 1] - ay, triangles[t, 1, 2] - az
    cx, cy, cz = triangles[t, 2, 0] - ax, triangles[t, 2, 1] - ay, triangles[t, 2, 2] - az
    px, py, pz = x - ax, y - ay, z - az
    nx, ny, nz = by * cz - bz * cy, bz * cx - bx * cz, bx * cy - by * cx
    normal = nx * nx + ny * ny + nz * nz
    b_square, c_square = bx * bx + by * by + bz * bz, cx * cx + cy * cy + cz * cz
    if normal > _SMALLEST_SINE**2 * b_square * c_square:
        # Barycentric coordinates of the projection to the plane.
        v = (
            nx * (py * cz - pz * cy) + ny * (pz * cx - px * cz) + nz * (px * cy - py * cx)
        ) / normal
        w = (
            nx * (by * pz - bz * py) + ny * (bz * px - bx * pz) + nz * (bx * py - by * px)
        ) / normal
        if v >= 0.0 and w >= 0.0 and v + w <= 1.0:
            height = (px * nx + py * ny + pz * nz) / normal
            return height * nx, height * ny, height * nz
    ox, oy, oz = _line_offset(px, py, pz, bx, by, bz)
    square = ox * ox + oy * oy + oz * oz
    ux, uy, uz = _line_offset(px, py, pz, cx, cy, cz)
    other = ux * ux + uy * uy + uz * uz
    if other < square:
        ox, oy, oz, square = ux, uy, uz, other
    ux, uy, uz = _line_offset(px - bx, py - by, pz - bz, cx - bx, cy - by, cz - bz)
    if ux * ux + uy * uy + uz * uz < square:
        ox, oy, oz = ux, uy, uz
    return ox, oy, oz


@jit
def _line_offset(px, py, pz, ex, ey, ez):
    """Offset of the point p from the closest one of the line from 0 to e."""
    length = ex * ex + ey * ey + ez * ez
    share = 0.0
    if length > 0.0:
        share = min(max((px * ex + py * ey + pz * ez) / length, 0.0), 1.0)
    return px - share * ex, py - share * ey, pz - share * ez
