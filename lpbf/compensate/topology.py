"""Topology of a surface before and after it is moved."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lpbf.compensate.self_intersections import intersecting_pairs
from lpbf.core.bodies import body_labels

if TYPE_CHECKING:
    import trimesh

# A triangle is degenerate if its height is below this share of its longest edge.
_FLAT = 1e-6
# Number of places that a message names.
_NAMED = 3


@dataclass(frozen=True)
class Topology:
    """Topology of a surface.

    Attributes:
        watertight: Whether each edge belongs to two triangles.
        bodies: Number of bodies, which share no edge; cavities count.
        euler_number: Vertices minus edges plus triangles: twice the bodies less the through holes.
        intersections: Pairs of triangles that intersect.
        degenerate: Triangles without area.
    """

    watertight: bool
    bodies: int
    euler_number: int
    intersections: int
    degenerate: int

    def __str__(self) -> str:
        closed = "watertight" if self.watertight else "not watertight"
        bodies = "1 body" if self.bodies == 1 else f"{self.bodies} bodies"
        return (
            f"{closed}, {bodies}, Euler number {self.euler_number}, {self.intersections} "
            f"intersections, {self.degenerate} degenerate triangles"
        )


@dataclass(frozen=True)
class Defect:
    """Defects of one kind in a moved surface that the original surface does not have.

    Attributes:
        kind: ``"intersecting pairs of triangles"``, ``"inverted triangles"`` or ``"degenerate
            triangles"``.
        places: Middles of regions with such defects, mm, and the number of defects in each, most
            first.
    """

    kind: str
    places: tuple[tuple[tuple[float, float, float], int], ...]

    @property
    def count(self) -> int:
        """Number of defects."""
        return sum(number for _, number in self.places)

    def __str__(self) -> str:
        named = ", ".join(
            "{} around ({:.4g}, {:.4g}, {:.4g}) mm".format(number, *place)
            for place, number in self.places[:_NAMED]
        )
        others = len(self.places) - _NAMED
        more = f" and at {others} other places" if others > 0 else ""
        return f"{self.count} {self.kind}: {named}{more}"


def compare_topology(
    before: "trimesh.Trimesh", after: "trimesh.Trimesh"
) -> tuple[Topology, Topology, tuple[Defect, ...]]:
    """Topologies of a surface and of the same triangles after a motion, and the new defects."""
    first, second = (
        intersecting_pairs(s.vertices.view(np.ndarray), s.faces.view(np.ndarray))
        for s in (before, after)
    )
    flat, flattened = _degenerate(before), _degenerate(after)
    count = np.int64(len(after.faces))
    new = second[~np.isin(second @ [count, 1], first @ [count, 1])]
    centers = after.triangles.view(np.ndarray).mean(axis=1)
    turned = np.einsum("ni,ni->n", _normals(before), _normals(after)) < 0
    longest = float(_edges(after).max())
    points = {
        "intersecting pairs of triangles": centers[new].mean(axis=1),
        "inverted triangles": centers[turned & ~flat & ~flattened],
        "degenerate triangles": centers[flattened & ~flat],
    }
    defects = tuple(
        Defect(kind, _places(at, 3 * longest)) for kind, at in points.items() if len(at)
    )
    return (
        _topology(before, len(first), int(flat.sum())),
        _topology(after, len(second), int(flattened.sum())),
        defects,
    )


def _topology(surface: "trimesh.Trimesh", intersections: int, degenerate: int) -> Topology:
    return Topology(
        watertight=bool(surface.is_watertight),
        bodies=int(body_labels(surface).max()) + 1,
        euler_number=int(surface.euler_number),
        intersections=intersections,
        degenerate=degenerate,
    )


def _normals(surface: "trimesh.Trimesh") -> NDArray[np.float64]:
    """Normals as long as twice the area, [F, 3]."""
    a, b, c = np.moveaxis(surface.triangles.view(np.ndarray), 1, 0)
    return np.cross(b - a, c - a)


def _edges(surface: "trimesh.Trimesh") -> NDArray[np.float64]:
    """Lengths of the edges of each triangle, [F, 3]."""
    corners = surface.triangles.view(np.ndarray)
    return np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2)


def _degenerate(surface: "trimesh.Trimesh") -> NDArray[np.bool_]:
    longest = _edges(surface).max(axis=1)
    return np.linalg.norm(_normals(surface), axis=1) <= _FLAT * longest**2


def _places(
    points: NDArray[np.float64], reach: float
) -> tuple[tuple[tuple[float, float, float], int], ...]:
    """Middles of groups of points that are close to each other, and the sizes of the groups."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import KDTree

    pairs = KDTree(points).query_pairs(reach, output_type="ndarray")
    graph = coo_array((np.ones(len(pairs)), pairs.T), shape=(len(points), len(points)))
    _, group = connected_components(graph, directed=False)
    numbers = np.bincount(group)
    middles = np.stack([np.bincount(group, axis) for axis in points.T], axis=1) / numbers[:, None]
    order = np.argsort(-numbers, kind="stable")
    return tuple(((x, y, z), int(numbers[k])) for k in order for x, y, z in [middles[k].tolist()])
