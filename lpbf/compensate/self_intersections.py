"""Triangles of a surface that intersect."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

# Triangles in a chunk, which bounds the memory.
_CHUNK = 10_000
# Least depth of an intersection, as a share of the triangles' longest edge: touching is none.
_DEPTH = 1e-6


def intersecting_pairs(
    vertices: NDArray[np.float64], faces: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Pairs of triangles of which an edge of one passes through the other, [K, 2], sorted.

    An edge passes through a triangle if its ends lie on either side of the plane and it meets the
    triangle. Triangles that touch, that lie in one plane or that share an edge are no pairs; those
    that share a vertex are, if the edge beyond it passes through the other triangle.

    Args:
        vertices: Points, [V, 3].
        faces: Vertices of the triangles, [F, 3].
    """
    found = [np.zeros((0, 2), dtype=np.int64)]
    for pairs in _near_pairs(vertices[faces]):
        hit = np.zeros(len(pairs), dtype=bool)
        for one, other in (pairs.T, pairs[:, ::-1].T):
            shared = (faces[one][:, :, None] == faces[other][:, None, :]).any(axis=2)
            corners = vertices[faces[other]]
            for first, second in ((0, 1), (1, 2), (2, 0)):
                free = np.flatnonzero(~shared[:, first] & ~shared[:, second] & ~hit)
                start, end = (vertices[faces[one[free]][:, side]] for side in (first, second))
                hit[free] |= _passes_through(start, end, corners[free])
        found.append(pairs[hit])
    return np.unique(np.sort(np.concatenate(found), axis=1), axis=0)


def _near_pairs(triangles: NDArray[np.float64]) -> Iterator[NDArray[np.int64]]:
    """Chunks of all pairs, [n, 2], of triangles [F, 3, 3] whose boxes meet."""
    from scipy.spatial import KDTree

    low, high = triangles.min(axis=1), triangles.max(axis=1)
    centers = (low + high) / 2
    radius = np.linalg.norm(high - low, axis=1) / 2
    # Triangles are compared with those that are not much larger, so that few large ones among many
    # small ones do not widen the search for all.
    level = np.floor(np.log2(np.maximum(radius, 1e-12 * radius.max()))).astype(np.int64)
    for value in np.unique(level):
        own, others = np.flatnonzero(level == value), np.flatnonzero(level <= value)
        tree, reach = KDTree(centers[others]), radius[others].max()
        for start in range(0, len(own), _CHUNK):
            some = own[start : start + _CHUNK]
            near = tree.query_ball_point(centers[some], radius[some] + reach)
            counts = np.fromiter((len(one) for one in near), dtype=np.int64, count=len(near))
            one = np.repeat(some, counts)
            other = others[np.concatenate([np.asarray(n, dtype=np.int64) for n in near])]
            # Within a level, each pair is found twice.
            new = (level[other] < value) | (other > one)
            meet = ((low[one] <= high[other]) & (low[other] <= high[one])).all(axis=1)
            yield np.stack([one, other], axis=1)[new & meet]


def _passes_through(
    start: NDArray[np.float64], end: NDArray[np.float64], corners: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Whether each edge from start to end [n, 3] passes through its triangle [n, 3, 3]."""
    a, b, c = np.moveaxis(corners, 1, 0)
    normal = np.cross(b - a, c - a)
    size = np.linalg.norm(normal, axis=1)
    edges = np.linalg.norm(np.stack([b - a, c - b, a - c, end - start]), axis=2).max(axis=0)
    heights = [np.einsum("ni,ni->n", normal, p - a) for p in (start, end)]
    deep = np.minimum(np.abs(heights[0]), np.abs(heights[1])) > _DEPTH * edges * size
    way = end - start
    sides = np.stack(
        [
            np.einsum("ni,ni->n", way, np.cross(p - start, q - start))
            for p, q in ((a, b), (b, c), (c, a))
        ]
    )
    inside = (sides >= 0).all(axis=0) | (sides <= 0).all(axis=0)
    return deep & (heights[0] * heights[1] < 0) & inside
