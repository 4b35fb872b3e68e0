"""Surfaces whose triangles are small enough to bend."""

import numpy as np
import trimesh
from numpy.typing import NDArray


def subdivide(surface: trimesh.Trimesh, max_edge: float) -> trimesh.Trimesh:
    """Halves edges until none is longer than ``max_edge``; what was watertight stays so.

    An edge is split for all its triangles at once, so that no vertex comes to lie on a
    neighbour's edge. The surface as a set of points, and the original vertices, stay the same.

    Args:
        surface: A surface.
        max_edge: Longest edge that is left, in the surface's unit.
    """
    vertices = np.asarray(surface.vertices, dtype=np.float64)
    faces = np.asarray(surface.faces, dtype=np.int64)
    while True:
        ends = np.sort(faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
        edges, edge_of = np.unique(ends, axis=0, return_inverse=True)
        length = np.linalg.norm(vertices[edges[:, 1]] - vertices[edges[:, 0]], axis=1)
        long = length > max_edge
        if not long.any():
            break
        middle = np.full(len(edges), -1)
        middle[long] = len(vertices) + np.arange(long.sum())
        vertices = np.concatenate([vertices, vertices[edges[long]].mean(axis=1)])
        faces = _split(vertices, faces, middle[edge_of].reshape(-1, 3))
    return trimesh.Trimesh(vertices, faces, process=False, metadata=dict(surface.metadata))


def _split(
    vertices: NDArray[np.float64], faces: NDArray[np.int64], middle: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Triangles [F, 3] with the middles of their edges 01, 12, 20 ([F, 3], -1: not split)."""
    count = (middle >= 0).sum(axis=1)
    # One split edge comes to 01, two to 01 and 12.
    turn = np.where(count == 1, (middle >= 0).argmax(axis=1), (middle < 0).argmax(axis=1) + 1)
    order = (np.arange(3) + turn[:, None]) % 3
    corners = np.take_along_axis(faces, order, axis=1)
    middle = np.take_along_axis(middle, order, axis=1)

    def pieces(which: NDArray[np.bool_], *triangles: str) -> list[NDArray[np.int64]]:
        named = dict(zip("abcpqr", [*corners[which].T, *middle[which].T], strict=True))
        return [np.stack([named[name] for name in t], axis=1) for t in triangles]

    # The quadrilateral a p q c that two split edges leave is cut along its shorter diagonal.
    spans = vertices[corners[:, 0]] - vertices[middle[:, 1]]
    others = vertices[corners[:, 2]] - vertices[middle[:, 0]]
    first = (spans**2).sum(axis=1) <= (others**2).sum(axis=1)
    parts = [
        [faces[count == 0]],
        pieces(count == 1, "apc", "pbc"),
        pieces((count == 2) & first, "pbq", "apq", "aqc"),
        pieces((count == 2) & ~first, "pbq", "apc", "pqc"),
        pieces(count == 3, "apr", "pbq", "rqc", "pqr"),
    ]
    return np.concatenate([piece for part in parts for piece in part])
