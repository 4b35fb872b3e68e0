"""Orientation in which a part needs the least support."""

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import trimesh

_ANGLE = 45.0  # overhangs that rise less steeply need support, degrees from the horizontal
_MAX_CANDIDATES = 500
_TOLERANCE = 1e-6


def find_orientation(surface: "trimesh.Trimesh") -> NDArray[np.float64]:
    """Rotation [3, 3] to the stable orientation with the least support.

    The candidates are the facets of the convex hull on which the part stands without tipping over:
    its centre of mass is above the facet. Of more than 500, the 500 largest are compared. The part
    is built on the one

    1. with the smallest :func:`support_volume`;
    2. of these, in which the part is lowest;
    3. of these, that needs the smallest rotation; then the one whose normal comes first in the
       order of its coordinates.

    The rotation is about the horizontal axis that turns the facet down on the shortest way.

    Args:
        surface: The part, with all bodies facing outwards.
    """
    points = np.asarray(surface.vertices)[np.unique(surface.faces)]
    downs = _resting_directions(surface, points)
    volumes = np.array([support_volume(surface, down) for down in downs])
    heights = np.ptp(points @ downs.T, axis=0)
    size = float(np.ptp(points, axis=0).max())
    left = volumes <= volumes.min() + _TOLERANCE * size**3
    left &= heights <= heights[left].min() + _TOLERANCE * size
    steepest = downs[left, 2].min()
    left &= downs[:, 2] <= steepest + _TOLERANCE
    return rotation_down(min(map(tuple, downs[left].tolist())))


def support_volume(surface: "trimesh.Trimesh", down: NDArray[np.float64]) -> float:
    """Volume below the overhangs of a part that stands on its lowest point, mm^3.

    Triangles that rise by less than 45 degrees from the horizontal have support down to the plate,
    whatever is between.

    Args:
        surface: The part, with all bodies facing outwards.
        down: Unit vector that points to the plate, [3].
    """
    triangles = np.asarray(surface.triangles)
    a, b, c = np.moveaxis(triangles, 1, 0)
    normals = np.cross(b - a, c - a) / 2
    if np.einsum("ni,ni->", a - triangles[0, 0], normals) < 0:
        normals = -normals  # the whole surface is inside out
    facing, area = normals @ down, np.linalg.norm(normals, axis=1)
    hanging = facing > math.cos(math.radians(_ANGLE)) * (1 + _TOLERANCE) * area
    along = triangles[hanging] @ down
    height = float((triangles @ down).max()) - along.mean(axis=1)
    return float((facing[hanging] * height).sum())


def rotation_down(down: tuple[float, float, float]) -> NDArray[np.float64]:
    """Rotation [3, 3] that takes a unit vector to (0, 0, -1) on the shortest way."""
    x, y, z = down
    if z > 1 - 1e-12:
        return np.diag([1.0, -1.0, -1.0])
    cross = np.array([[0.0, 0.0, x], [0.0, 0.0, y], [-x, -y, 0.0]])
    return np.eye(3) + cross + cross @ cross / (1 - z)


def _resting_directions(
    surface: "trimesh.Trimesh", points: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Normals [K, 3] of the facets of the convex hull on which the part stands."""
    from scipy.spatial import ConvexHull

    hull = ConvexHull(points)
    rounded = np.round(hull.equations[:, :3], 6) + 0.0
    normals, facet = np.unique(rounded, axis=0, return_inverse=True)
    corners = points[hull.simplices]
    area = np.linalg.norm(
        np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1
    )
    largest = np.argsort(-np.bincount(facet.reshape(-1), area), kind="stable")
    normals = normals[largest] / np.linalg.norm(normals[largest], axis=1, keepdims=True)
    centre = np.asarray((surface if surface.is_watertight else surface.convex_hull).center_mass)
    corners = points[hull.vertices]
    stable = [normal for normal in normals if _stands(corners, normal, centre)]
    return np.array(stable[:_MAX_CANDIDATES])


def _stands(
    corners: NDArray[np.float64], down: NDArray[np.float64], centre: NDArray[np.float64]
) -> bool:
    """Whether the centre of mass is above the facet of the hull that faces down."""
    from scipy.spatial import ConvexHull, QhullError

    along = corners @ down
    size = float(np.ptp(corners, axis=0).max())
    facet = corners[along >= along.max() - 1e-5 * size]
    turned = rotation_down((float(down[0]), float(down[1]), float(down[2])))
    try:
        sides = ConvexHull((facet @ turned.T)[:, :2]).equations
    except QhullError:  # a facet without area
        return False
    return bool((sides[:, :2] @ (turned @ centre)[:2] + sides[:, 2]).max() <= 1e-9 * size)
