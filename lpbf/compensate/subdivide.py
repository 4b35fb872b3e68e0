"""Subdivision of surfaces."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import trimesh


def subdivide(surface: "trimesh.Trimesh", max_edge: float) -> "trimesh.Trimesh":
    """Halve edges until none is longer than ``max_edge``.

    An edge is split in all its triangles at once, so that a watertight surface stays watertight.
    (trimesh's subdivide_to_size returns separate triangles.) The shape and the original vertices do
    not change. The bodies of the surface's file get their own triangles' pieces.

    Args:
        surface: A surface.
        max_edge: Length of the longest edge, in the surface's unit.
    """
    import trimesh

    vertices = np.asarray(surface.vertices, dtype=np.float64)
    faces = np.asarray(surface.faces, dtype=np.int64)
    metadata = dict(surface.metadata)
    body = metadata.get("face_body", np.zeros(len(faces), dtype=np.int64))
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
        faces, parent = _split(vertices, faces, middle[edge_of].reshape(-1, 3))
        body = body[parent]
    if "face_body" in metadata:
        metadata["face_body"] = body
    return trimesh.Trimesh(vertices, faces, process=False, metadata=metadata)


def _split(
    vertices: NDArray[np.float64], faces: NDArray[np.int64], middle: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split triangles [F, 3] at the midpoints of their edges 01, 12, 20 ([F, 3], -1: none).

    Returns:
        The triangles, and the number of the one that each comes from.
    """
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
    cases = [
        (count == 1, ("apc", "pbc")),
        ((count == 2) & by_aq, ("pbq", "apq", "aqc")),
        ((count == 2) & ~by_aq, ("pbq", "apc", "pqc")),
        (count == 3, ("apr", "pbq", "rqc", "pqr")),
    ]
    pieces = [piece for which, names in cases for piece in split(which, *names)]
    parents = [np.flatnonzero(which) for which, names in cases for _ in names]
    whole = count == 0
    return (
        np.concatenate([faces[whole], *pieces]),
        np.concatenate([np.flatnonzero(whole), *parents]),
    )
