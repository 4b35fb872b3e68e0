"""Procedural parts whose flat faces lie between the voxels of a grid."""

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from trimesh import Trimesh

# Gaps of fewer edges are rounded by themselves, wider ones take up the rounding of all before.
_NARROW = 4
# Unions of bodies round coordinates to this share of the extent.
_ROUNDING = 1e-6


def align_planes(part: "Trimesh", edge: float) -> "Trimesh":
    """Move the flat faces of a part to multiples of an edge, so that voxels hold its walls.

    Along each axis, the faces normal to it, the largest first, are moved to multiples of the edge
    from the lowest point of the part, unless they are nearer than an edge to another one. All
    points between them follow linearly, so that the triangles stay the same and round faces become
    slightly oval. The part stays centred at x = y = 0 on z = 0. Its faces stay on multiples of the
    edge if it is rotated by 90 degrees.

    Args:
        part: A part of at least half an edge in each direction.
        edge: Edge length of the voxels, mm.
    """
    vertices = np.array(part.vertices)
    triangles = vertices[part.faces]
    normals = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    for axis in range(3):
        values = vertices[:, axis]
        flat = np.ptp(triangles[:, :, axis], axis=1) <= _ROUNDING * np.ptp(values)
        height, area = triangles[flat, 0, axis], np.abs(normals[flat, axis]) / 2
        planes = _choose(values, height, area, edge)
        vertices[:, axis] = np.interp(values, planes, edge * _multiples(planes / edge))
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    vertices -= [*((low + high) / 2)[:2], low[2]]
    return type(part)(vertices, part.faces, process=False, metadata=part.metadata)


def _choose(
    values: NDArray[np.float64],
    height: NDArray[np.float64],
    area: NDArray[np.float64],
    edge: float,
) -> NDArray[np.float64]:
    """Coordinates of the planes that are moved: both ends, and the largest faces in between.

    Args:
        values: Coordinates of all vertices along the axis, mm.
        height: Coordinates of the flat triangles, mm.
        area: Their areas, mm^2.
        edge: Least distance of two planes, mm.
    """
    chosen = [float(values.min()), float(values.max())]
    levels, number = np.unique(np.round(height / edge, 4), return_inverse=True)
    for level in levels[np.argsort(-np.bincount(number, area, len(levels)), kind="stable")]:
        if np.abs(np.array(chosen) / edge - level).min() >= 1 - 1e-3:
            chosen.append(edge * float(level))
    return np.sort(chosen)


def _multiples(planes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Whole numbers within 1 of rising ones, if these are 1 or more apart from each other.

    Narrow gaps are rounded by themselves, unless the numbers would then be too far off.
    """
    found = [0]
    for gap, rest in zip(np.diff(planes), planes[1:] - planes[0], strict=True):
        wanted = rest - found[-1]
        steps = math.floor((gap if gap < _NARROW else wanted) + 0.5)
        steps = min(max(steps, math.ceil(wanted - 1)), math.floor(wanted + 1))
        found.append(found[-1] + max(1, steps))
    return np.array(found, dtype=np.float64)
