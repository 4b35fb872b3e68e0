"""Sections, prisms and cutters from which procedural parts are made.

Shapes are made upright: sections in the xy plane, extruded along z.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

if TYPE_CHECKING:
    from trimesh import Trimesh

ROUND = 48
"""Sides of the polygon that approximates a circle."""

Span = tuple[float, float]


def min_wall(length: float) -> float:
    """Thinnest wall allowed, mm: 3.5, in proportion less for parts below 24 mm."""
    return min(3.5, 3.5 / 24.0 * length)


def draw(rng: Generator, low: float, high: float) -> float:
    """Draw a uniform number; ``low`` if the range is empty."""
    return float(rng.uniform(low, max(low, high)))


def pick(rng: Generator, *options: int) -> int:
    """Draw one of the options."""
    return options[int(rng.integers(len(options)))]


def polygon(sides: int, inradius: float) -> NDArray[np.float64]:
    """Regular polygon around a circle, [sides, 2], with an edge facing -y."""
    angles = -np.pi / 2 + np.pi / sides + 2 * np.pi * np.arange(sides) / sides
    return inradius / math.cos(math.pi / sides) * np.column_stack([np.cos(angles), np.sin(angles)])


def inscribed(sides: int, radius: float) -> NDArray[np.float64]:
    """Regular polygon inside a circle, [sides, 2]."""
    return polygon(sides, radius * math.cos(math.pi / sides))


def rectangle(width: float, depth: float, corner: float, sides: int) -> NDArray[np.float64]:
    """Rectangle with the corners of a polygon: 4 sides sharp, 8 chamfered, more rounded."""
    ring = polygon(sides, corner)
    return ring + np.sign(ring) * (width / 2 - corner, depth / 2 - corner)


def doorway(radius: float, spring: float, points: int, bottom: float) -> NDArray[np.float64]:
    """Doorway: straight up to ``spring``, then an arc of ``points`` vertices (2: flat)."""
    arc = np.linspace(0.0, np.pi, points)
    top = np.column_stack([radius * np.cos(arc), spring + radius * np.sin(arc)])
    return np.vstack([[[-radius, bottom], [radius, bottom]], top])


def prism(section: NDArray[np.float64], z: Span, at: Span = (0.0, 0.0)) -> "Trimesh":
    """Prism over a convex counter-clockwise section."""
    n = len(section)
    vertices = np.vstack([np.column_stack([section + np.array(at), np.full(n, h)]) for h in z])
    i = np.arange(n)
    j = (i + 1) % n
    sides = np.vstack([np.column_stack([i, j, j + n]), np.column_stack([i, j + n, i + n])])
    fan = np.column_stack([np.zeros(n - 2, dtype=int), i[1:-1], i[2:]])
    return _surface(vertices, np.vstack([sides, fan[:, ::-1], fan + n]))


def box(x: Span, y: Span, z: Span) -> "Trimesh":
    """Box between bounds."""
    import trimesh

    return trimesh.creation.box(bounds=np.array([x, y, z]).T)


def cycle_axes(mesh: "Trimesh", times: int = 1) -> "Trimesh":
    """Rotate the axes cyclically, without rounding: once moves (x, y, z) to (z, x, y)."""
    return _surface(np.roll(mesh.vertices, times, axis=1), mesh.faces)


def rotate_z(mesh: "Trimesh", times: int) -> "Trimesh":
    """Rotate about z by 90 degrees, ``times`` times, without rounding."""
    x, y, z = mesh.vertices.T
    rotated = ((x, y), (-y, x), (-x, -y), (y, -x))[times % 4]
    return _surface(np.column_stack([*rotated, z]), mesh.faces)


def combine(parts: "Sequence[Trimesh]", tools: "Sequence[Trimesh]" = ()) -> "Trimesh":
    """Union of the parts minus all tools."""
    import trimesh

    body = trimesh.boolean.union(parts, engine="manifold")
    return trimesh.boolean.difference([body, *tools], engine="manifold") if tools else body


def _surface(vertices: NDArray[np.float64], faces: NDArray[np.int64]) -> "Trimesh":
    from trimesh import Trimesh

    return Trimesh(vertices, faces, process=False)


def centers(
    rng: Generator, span: float, item: float, gap: float, margin: float, most: int
) -> NDArray[np.float64]:
    """Centres of one to ``most`` evenly spaced items along a centred span."""
    fitting = int((span - 2 * margin + gap) // (item + gap))
    n = int(rng.integers(1, max(1, min(fitting, most)) + 1))
    pitch = draw(rng, item + gap, (span - 2 * margin - item) / max(1, n - 1))
    return (np.arange(n, dtype=np.float64) - (n - 1) / 2) * pitch


def holes(rng: Generator, x: Span, y: Span, z: Span, wall: float) -> "list[Trimesh]":
    """Cutters for a grid of round, hexagonal or square holes along z, a wall apart."""
    width, depth = x[1] - x[0], y[1] - y[0]
    room = min(width, depth) / 2 - wall
    if room < 0.6 * wall:
        return []
    radius = draw(rng, 0.6 * wall, min(room, 1.4 * wall) if rng.random() < 0.6 else room)
    section = inscribed(pick(rng, ROUND, ROUND, 6, 4), radius)
    xs = centers(rng, width, 2 * radius, wall, wall, 4) + (x[0] + x[1]) / 2
    ys = centers(rng, depth, 2 * radius, wall, wall, 3) + (y[0] + y[1]) / 2
    return [prism(section, z, (cx, cy)) for cx in xs for cy in ys]
