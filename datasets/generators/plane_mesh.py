"""Triangle meshes of plane regions, finer at their holes."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import Delaunay

from flare_mesh.datasets.generators.plane_region import Ellipse, PlaneRegion

if TYPE_CHECKING:
    from skfem import MeshTri

_TRIES, _STEPS = 5, 40
_GROWTH = 0.25  # change of the size of triangles per length
_MIN_ANGLE = 20.0  # degrees


@dataclass(frozen=True)
class TriangleMesh:
    """Points [N, 2], and triangles [E, 3] anticlockwise."""

    points: NDArray[np.float64]
    triangles: NDArray[np.int64]

    def angles(self) -> NDArray[np.float64]:
        """Angles of the triangles [E, 3], degrees."""
        corners = self.points[self.triangles]
        ahead = np.roll(corners, -1, axis=1) - corners
        behind = np.roll(corners, 1, axis=1) - corners
        cross = ahead[..., 0] * behind[..., 1] - ahead[..., 1] * behind[..., 0]
        return np.degrees(np.arctan2(cross, (ahead * behind).sum(axis=-1)))

    def for_scikit_fem(self) -> "MeshTri":
        """The same points and triangles as a mesh of scikit-fem."""
        import skfem

        return skfem.MeshTri(
            np.ascontiguousarray(self.points.T), np.ascontiguousarray(self.triangles.T)
        )


def mesh_plane(region: PlaneRegion, nodes: float, rng: np.random.Generator) -> TriangleMesh:
    """Mesh a region with about a number of nodes.

    Points on the boundary are fixed at distances of the local size h; those inside start on a
    random lattice of that density and are moved by springs of rest length h between the neighbours
    of their Delaunay triangulation (as in DistMesh, Persson and Strang 2004). The size grows with
    the distance from the holes.

    Args:
        region: The region.
        nodes: Number of nodes, reached within some per cent.
        rng: Random numbers.

    Raises:
        RuntimeError: If no try gives a mesh that follows the boundary with all angles above 20
            degrees.
    """
    size = _Size(region, nodes)
    border = [_spread(curve, size) for curve in region.outlines(2000)]
    fixed, edges = _joined(border)
    for _ in range(_TRIES):
        points = _relaxed(region, size, fixed, rng)
        triangles = _triangles(region, points)
        mesh = TriangleMesh(points, triangles)
        if _border_edges(triangles) == edges and mesh.angles().min() > _MIN_ANGLE:
            return mesh
    raise RuntimeError(
        f"no mesh of about {nodes:.0f} nodes follows the boundary with angles above "
        f"{_MIN_ANGLE:.0f} degrees; use more nodes or another seed"
    )


class _Size:
    """Size of the triangles at points: h0 at most, less near the holes."""

    def __init__(self, region: PlaneRegion, nodes: float) -> None:
        self.region = region
        x, y = np.meshgrid(np.linspace(0, region.length, 201), np.linspace(0, region.height, 201))
        grid = np.stack([x.ravel(), y.ravel()], axis=1)
        grid = grid[region.distance(grid) > 0]
        area = region.length * region.height * len(grid) / x.size
        low, high = 0.0, max(region.length, region.height)
        for _ in range(40):
            self.largest = (low + high) / 2
            # A triangle of side h has an area of sqrt(3) / 4 h^2, and there are two per node.
            count = area * np.mean(2 / np.sqrt(3) / self(grid) ** 2)
            low, high = (self.largest, high) if count > nodes else (low, self.largest)

    def __call__(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        found = np.full(len(points), self.largest)
        for hole in self.region.holes:
            away = np.maximum(hole.distance(points), 0)
            found = np.minimum(found, self.nearest(hole) + _GROWTH * away)
        return found

    def nearest(self, hole: Ellipse) -> float:
        """Size at the boundary of a hole."""
        return min(0.45 * self.largest, 0.4 * hole.axes[1])


def _spread(curve: NDArray[np.float64], size: _Size) -> NDArray[np.float64]:
    """Points on a curve at distances of the local size, both ends included."""
    middle = (curve[1:] + curve[:-1]) / 2
    steps = np.hypot(*(curve[1:] - curve[:-1]).T) / size(middle)
    place = np.concatenate([[0], np.cumsum(steps)])
    count = max(2, round(place[-1]))
    wanted = np.linspace(0, place[-1], count + 1)
    return np.stack([np.interp(wanted, place, axis) for axis in curve.T], axis=1)


def _joined(
    border: list[NDArray[np.float64]],
) -> tuple[NDArray[np.float64], set[tuple[int, int]]]:
    """Points of all curves, each once, and the edges between them."""
    rings = [
        np.concatenate([side[:-1] for side in border[:4]]),
        *(ring[:-1] for ring in border[4:]),
    ]
    edges, start = set(), 0
    for ring in rings:
        numbers = start + np.arange(len(ring))
        pairs = np.sort(np.stack([numbers, np.roll(numbers, -1)], axis=1), axis=1)
        edges |= {(int(a), int(b)) for a, b in pairs}
        start += len(ring)
    return np.concatenate(rings), edges


def _relaxed(
    region: PlaneRegion, size: _Size, fixed: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.float64]:
    """The fixed points, and points inside in equilibrium."""
    inside = _start(region, size, rng)
    count = len(fixed)
    points = np.concatenate([fixed, inside])
    pairs = np.empty((0, 2), dtype=np.int64)
    for step in range(_STEPS):
        if step % 4 == 0:
            pairs = _edges(_triangles(region, points))[0]
        bar = points[pairs[:, 0]] - points[pairs[:, 1]]
        length = np.hypot(*bar.T)
        rest = size(points[pairs].mean(axis=1))
        rest *= 1.15 * np.sqrt((length**2).sum() / (rest**2).sum())
        force = np.maximum(rest - length, 0)[:, None] * bar / length[:, None]
        moves = np.zeros_like(points)
        np.add.at(moves, pairs[:, 0], force)
        np.add.at(moves, pairs[:, 1], -force)
        points[count:] += 0.2 * moves[count:]
        points[count:] = _kept_away(region, size, points[count:])
    return points


def _start(region: PlaneRegion, size: _Size, rng: np.random.Generator) -> NDArray[np.float64]:
    """Points of a triangular lattice of the smallest size, thinned out to the local density."""
    smallest = min([size.largest, *map(size.nearest, region.holes)])
    x, y = np.meshgrid(
        np.arange(smallest / 2, region.length, smallest),
        np.arange(smallest / 2, region.height, smallest * np.sqrt(3) / 2),
    )
    x[1::2] += smallest / 2
    points = np.stack([x.ravel(), y.ravel()], axis=1)
    local = size(points)
    keep = rng.uniform(size=len(points)) < (smallest / local) ** 2
    return points[keep & (region.distance(points) > 0.6 * local)]


def _kept_away(
    region: PlaneRegion, size: _Size, points: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Points nearer to the boundary than half their size, moved away from it."""
    missing = 0.5 * size(points) - region.distance(points)
    step = 1e-6 * size.largest
    slope = np.stack(
        [
            (region.distance(points + step * axis) - region.distance(points - step * axis))
            / (2 * step)
            for axis in np.eye(2)
        ],
        axis=1,
    )
    return points + np.maximum(missing, 0)[:, None] * slope


def _triangles(region: PlaneRegion, points: NDArray[np.float64]) -> NDArray[np.int64]:
    """Delaunay triangles of the region, anticlockwise, without those of no area."""
    triangles = Delaunay(points).simplices.astype(np.int64)
    corners = points[triangles]
    a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    area = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
    triangles[area < 0] = triangles[area < 0][:, [0, 2, 1]]
    longest = np.square(corners - np.roll(corners, 1, axis=1)).sum(axis=2).max(axis=1)
    within = region.distance(corners.mean(axis=1)) > 0
    return triangles[within & (np.abs(area) > 1e-6 * longest)]


def _edges(triangles: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Edges [K, 2] of triangles, each once, and the number of triangles of each."""
    pairs = np.sort(triangles[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    return np.unique(pairs, axis=0, return_counts=True)


def _border_edges(triangles: NDArray[np.int64]) -> set[tuple[int, int]]:
    """Edges of one triangle only."""
    edges, counts = _edges(triangles)
    return {(int(a), int(b)) for a, b in edges[counts == 1]}
