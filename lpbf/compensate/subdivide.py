"""Subdivision of surfaces."""

import numpy as np
import trimesh
from numpy.typing import NDArray


def subdivide(surface: trimesh.Trimesh, max_edge: float) -> trimesh.Trimesh:
    """Halve edges until none is longer than ``max_edge``.

    An edge is split in all its triangles at once, so that a watertight surface stays watertight.
    (trimesh's subdivide_to_size returns separate triangles.) The shape and the original vertices do
    not change.

    Args:
        surface: A surface.
        max_edge: Length of the longest edge, in the surface's unit.
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
    """Split triangles [F, 3] at the midpoints of their edges 01, 12, 20 ([F, 3], -1: none)."""
    count = (middle >= 0).sum(axis=1)
    # Rotate the corners so that one split edge is 01, and two are 01 and 12.
    first = np.where(count == 1, (middle >= 0).argmax(axis=1), (middle < 0).argmax(axis=1) + 1)
    order = (np.arange(3) + first[:, None]) % 3
    corners = np.take_along_axis(faces, order, axis=1)
    middle = np.take_along_axis(middle, order, axis=1)

    def split(which: NDArray[np.bool_], *triangles: str) -> list[NDArray[np.int64]]:
        named = dict(zip("abcpqr", [*corners[which].T, *middle[which].T], strict=True))
        return [np.stack([named[name] for name in t], axis=1) for t in triangles]

    # With two split edges, the quadrilateral a p q c is cut along its shorter diagonal.
    aq = vertices[corners[:, 0]] - vertices[middle[:, 1]]
    pc = vertices[corners[:, 2]] - vertices[middle[:, 0]]
    by_aq = (aq**2).sum(axis=1) <= (pc**2).sum(axis=1)
    return np.concatenate(
        [
            faces[count == 0],
            *split(count == 1, "apc", "pbc"),
            *split((count == 2) & by_aq, "pbq", "apq", "aqc"),
            *split((count == 2) & ~by_aq, "pbq", "apc", "pqc"),
            *split(count == 3, "apr", "pbq", "rqc", "pqr"),
        ]
    )
