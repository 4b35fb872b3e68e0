"""A car's surface and the air around it as one set of nodes."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_mesh.datasets.match_points import match_points


@dataclass(frozen=True)
class Car:
    """A car's surface: ``points`` [P, 3], ``quads`` [E, 4], ``pressure`` [P]."""

    points: NDArray[Any]
    quads: NDArray[Any]
    pressure: NDArray[np.float32]


def merge_surface_and_volume(
    car: Car, points: NDArray[Any], hexahedra: NDArray[Any], velocity: NDArray[Any]
) -> dict[str, NDArray[Any]]:
    """Nodes of Transolver's car design task: volume points off the surface, then surface points.

    Points of the two files are the same if their coordinates are exactly equal.

    Args:
        car: The surface.
        points: Points of the volume [Q, 3].
        hexahedra: Cells of the volume [E, 8].
        velocity: At the points of the volume [Q, 3].

    Returns:
        ``pos``, ``sdf``, ``normals``, ``velocity``, ``pressure`` and ``surf`` of the nodes, and the
        cells ``quad`` and ``hexahedron``.
    """
    from scipy.spatial import KDTree

    on_surface = match_points(points, car.points)
    outside = on_surface < 0
    num_outside = int(outside.sum())
    number = np.where(outside, np.cumsum(outside) - 1, num_outside + on_surface)

    off_surface = points[outside].astype(np.float64)
    distance, nearest = KDTree(car.points).query(off_surface)
    direction = (off_surface - car.points[nearest]) / (distance[:, None] + 1e-8)

    in_volume = match_points(car.points, points)
    surface_velocity = np.where(in_volume[:, None] >= 0, velocity[in_volume], 0.0)
    zeros, count = np.zeros(num_outside), len(car.points)
    nodes = {
        "pos": (points[outside], car.points),
        "sdf": (distance, np.zeros(count)),
        "normals": (direction, vertex_normals(car)),
        "velocity": (velocity[outside], surface_velocity),
        "pressure": (zeros, car.pressure),
        "surf": (zeros, np.ones(count)),
    }
    merged: dict[str, NDArray[Any]] = {
        name: np.concatenate(parts).astype(np.float32) for name, parts in nodes.items()
    }
    return {
        **merged,
        "quad": (car.quads + num_outside).astype(np.int32),
        "hexahedron": number[hexahedra].astype(np.int32),
    }


def vertex_normals(car: Car) -> NDArray[np.float64]:
    """Outward unit normals [P, 3]: means over the adjacent quads; zero at points without quads.

    VTK's ``vtkPolyDataNormals`` makes the orientation of the quads consistent.
    """
    import pyvista

    mesh = pyvista.PolyData.from_regular_faces(car.points, car.quads)
    mesh = mesh.compute_normals(
        point_normals=False, auto_orient_normals=True, consistent_normals=True
    )
    of_cells = np.repeat(mesh.cell_data["Normals"], 4, axis=0).astype(np.float64)
    corners = car.quads.ravel()
    count = len(car.points)
    mean = (
        np.stack([np.bincount(corners, of_cells[:, i], minlength=count) for i in range(3)], axis=1)
        / np.maximum(np.bincount(corners, minlength=count), 1)[:, None]
    )
    # The published code divides by the largest component before the length.
    mean /= np.abs(mean).max(axis=1, keepdims=True) + 1e-8
    return mean / (np.linalg.norm(mean, axis=1, keepdims=True) + 1e-8)
