"""Closed surfaces of triangles, closed curves in the plane, and distances from them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

_PAIRS = 1 << 16  # pairs of a point and a line at a time, which stay within the cache


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


def lines_of(curve: Any, name: str) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Points [V, 2] and lines [S, 2] of a PyVista curve in a plane z = const.

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
    from vtkmodules.util.numpy_support import vtk_to_numpy

    cells = curve.GetLines()
    nodes = vtk_to_numpy(cells.GetConnectivityArray()).astype(np.int64)
    lines = np.stack([nodes[:-1], nodes[1:]], axis=1)
    # Consecutive nodes of different polylines are no line.
    return points[:, :2], np.delete(lines, vtk_to_numpy(cells.GetOffsetsArray())[1:-1] - 1, axis=0)


def surface_distance(
    at: NDArray[np.float64], points: NDArray[np.float64], triangles: NDArray[np.int64], name: str
) -> NDArray[np.float64]:
    """Signed distance [N] of points [N, 3] from a closed surface, negative inside.

    The surface may have several parts and cavities, and parts may touch along an edge, as long as
    its edges are used equally often in both directions. Coinciding points are merged.

    Args:
        at: [N, 3].
        points: [V, 3].
        triangles: [F, 3].
        name: The transform's name, for messages.

    Raises:
        ValueError: If there are no triangles, or the surface is open or inconsistently oriented.
    """
    import pyvista

    points, triangles = _merge_points(points, triangles)
    if not len(triangles):
        raise ValueError(f"{name}: expected a surface of triangles (got none)")
    start, stop = triangles.T, np.roll(triangles.T, -1, axis=0)
    low, high = np.minimum(start, stop), np.maximum(start, stop)
    edges, edge = np.unique(low * len(points) + high, return_inverse=True)
    uses = np.bincount(edge.reshape(-1), np.where(start < stop, 1.0, -1.0).reshape(-1))
    unmatched = np.count_nonzero(uses)
    if unmatched:
        raise ValueError(
            f"{name}: expected a closed surface of consistently oriented triangles (got "
            f"{unmatched} of {len(edges)} edges that do not match); repair it, for example by "
            f"trimesh.repair"
        )
    a, b, c = points[triangles.T] - points.mean(axis=0)
    if np.einsum("ij,ij->", a, np.cross(b, c)) <= 0:  # six times the volume
        triangles = triangles[:, ::-1]
    shell = pyvista.PolyData.from_regular_faces(points, triangles)
    return np.asarray(pyvista.PolyData(at).compute_implicit_distance(shell)["implicit_distance"])


def curve_distance(
    at: NDArray[np.float64], points: NDArray[np.float64], lines: NDArray[np.int64], name: str
) -> NDArray[np.float64]:
    """Signed distance [N] of points [N, 2] from a closed curve, negative inside.

    The curve may have several parts with holes, and parts may touch, as long as an even number of
    lines meets at every point. Their parity along a ray decides the side.

    Args:
        at: [N, 2].
        points: [V, 2].
        lines: [S, 2].
        name: The transform's name, for messages.

    Raises:
        ValueError: If there are no lines, or the curve is open.
    """
    points, lines = _merge_points(points, lines)
    if not len(lines):
        raise ValueError(f"{name}: expected a curve of lines (got none)")
    loose = np.count_nonzero(np.bincount(lines.reshape(-1)) % 2)
    if loose:
        raise ValueError(f"{name}: expected a closed curve (got {loose} loose ends)")
    start, end = points[lines[:, 0]], points[lines[:, 1]]
    along = end - start
    share = along / (along**2).sum(axis=1, keepdims=True)
    (x0, y0), (ex, ey), (sx, sy) = start.T, along.T, share.T
    y1, rising = end[:, 1], ey > 0
    distance = np.empty(len(at))
    step = max(1, _PAIRS // len(lines))
    for first in range(0, len(at), step):
        x, y = at[first : first + step].T[:, :, None]
        dx, dy = x - x0, y - y0
        place = np.clip(dx * sx + dy * sy, 0.0, 1.0)
        square = (dx - place * ex) ** 2 + (dy - place * ey) ** 2
        # Lines to the right of the point that pass its height, one end included.
        crossed = ((y0 > y) != (y1 > y)) & ((ex * dy > ey * dx) == rising)
        inside = np.count_nonzero(crossed, axis=1) % 2
        distance[first : first + step] = np.sqrt(square.min(axis=1)) * (1 - 2 * inside)
    return distance


def _merge_points(
    points: NDArray[np.float64], simplices: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Merge coinciding points; drop the simplices that then have a point twice."""
    points, number = np.unique(points, axis=0, return_inverse=True)
    simplices = number.reshape(-1)[simplices]
    return points, simplices[(np.diff(np.sort(simplices, axis=1)) > 0).all(axis=1)]
