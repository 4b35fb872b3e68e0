"""Closed surfaces of triangles."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def triangles_of(surface: Any, name: str) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Points [V, 3] and triangles [F, 3] of a surface of trimesh or PyVista.

    Raises:
        ValueError: If it is neither.
    """
    if hasattr(surface, "regular_faces"):
        surface = surface.triangulate()
        points, triangles = surface.points, surface.regular_faces
    elif hasattr(surface, "vertices") and hasattr(surface, "faces"):
        points, triangles = surface.vertices, surface.faces
    else:
        raise ValueError(
            f"{name}: expected a trimesh.Trimesh or a pyvista.PolyData as surface (got "
            f"{type(surface).__name__})"
        )
    return np.asarray(points, dtype=np.float64), np.asarray(triangles, dtype=np.int64)


def closed_surface(
    points: NDArray[np.float64], triangles: NDArray[np.int64], name: str
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The surface with coinciding points merged and all triangles seen from outside.

    Every edge must be passed as often in one direction as in the other: that holds for closed
    surfaces of one or several parts with cavities, even where parts touch along an edge.

    Args:
        points: [V, 3].
        triangles: [F, 3].
        name: Of the transform, for messages.

    Raises:
        ValueError: If there are no triangles, or the surface is open or turned inconsistently.
    """
    points, number = np.unique(points, axis=0, return_inverse=True)
    triangles = number.reshape(-1)[triangles]
    a, b, c = triangles.T
    triangles = triangles[(a != b) & (b != c) & (c != a)]
    if not len(triangles):
        raise ValueError(f"{name}: expected a surface of triangles (got none)")
    start, stop = triangles.T, np.roll(triangles.T, -1, axis=0)
    low, high = np.minimum(start, stop), np.maximum(start, stop)
    edges, edge = np.unique(low * len(points) + high, return_inverse=True)
    passes = np.bincount(edge.reshape(-1), np.where(start < stop, 1.0, -1.0).reshape(-1))
    unmatched = np.count_nonzero(passes)
    if unmatched:
        raise ValueError(
            f"{name}: expected a closed surface whose triangles are all turned the same way (got "
            f"{unmatched} of {len(edges)} edges where they do not match); mend it, for example by "
            f"trimesh.repair"
        )
    a, b, c = points[triangles.T] - points.mean(axis=0)
    volume = np.einsum("ij,ij->", a, np.cross(b, c))
    return points, triangles if volume > 0 else triangles[:, ::-1]
