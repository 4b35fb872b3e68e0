"""Procedural CAD-like parts: random, reproducible, watertight single bodies in millimetres.

Every builder works upright: sections in the xy plane swept along z, with the side that faces
down when the part lies at -y. Laying moves z to x and y to z, so a polygonal part always rests
on a flat. No builder exceeds the requested length, so the final scaling never thins a wall.
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import trimesh
from numpy.random import Generator
from numpy.typing import NDArray
from trimesh import Trimesh

_MIN_WALL = 3.5
_ROUND = 48

Span = tuple[float, float]


def _wall(length: float) -> float:
    """Thinnest wall allowed, relaxed in proportion for parts below 24 mm."""
    return min(_MIN_WALL, _MIN_WALL / 24.0 * length)


def _draw(rng: Generator, low: float, high: float) -> float:
    """Uniform number that stays at `low` where the range is empty."""
    return float(rng.uniform(low, max(low, high)))


def _pick(rng: Generator, *options: int) -> int:
    return options[int(rng.integers(len(options)))]


def _ngon(sides: int, inradius: float) -> NDArray[np.float64]:
    """Regular polygon around a circle, with a flat facing -y."""
    angles = -np.pi / 2 + np.pi / sides + 2 * np.pi * np.arange(sides) / sides
    return inradius / math.cos(math.pi / sides) * np.column_stack([np.cos(angles), np.sin(angles)])


def _inner(sides: int, radius: float) -> NDArray[np.float64]:
    """Regular polygon inside a circle."""
    return _ngon(sides, radius * math.cos(math.pi / sides))


def _rectangle(width: float, depth: float, corner: float, sides: int) -> NDArray[np.float64]:
    """Rectangle whose corners come from a polygon: 4 sides sharp, 8 chamfered, more rounded."""
    polygon = _ngon(sides, corner)
    return polygon + np.sign(polygon) * (width / 2 - corner, depth / 2 - corner)


def _gate(radius: float, spring: float, points: int, bottom: float) -> NDArray[np.float64]:
    """Doorway outline: straight up to `spring`, then an arc of `points` vertices (2: flat)."""
    arc = np.linspace(0.0, np.pi, points)
    top = np.column_stack([radius * np.cos(arc), spring + radius * np.sin(arc)])
    return np.vstack([[[-radius, bottom], [radius, bottom]], top])


def _prism(section: NDArray[np.float64], z: Span, at: Span = (0.0, 0.0)) -> Trimesh:
    """Prism over a convex counter-clockwise section."""
    n = len(section)
    vertices = np.vstack([np.column_stack([section + np.array(at), np.full(n, h)]) for h in z])
    i = np.arange(n)
    j = (i + 1) % n
    sides = np.vstack([np.column_stack([i, j, j + n]), np.column_stack([i, j + n, i + n])])
    fan = np.column_stack([np.zeros(n - 2, dtype=int), i[1:-1], i[2:]])
    return Trimesh(vertices, np.vstack([sides, fan[:, ::-1], fan + n]), process=False)


def _box(x: Span, y: Span, z: Span) -> Trimesh:
    return trimesh.creation.box(bounds=np.array([x, y, z]).T)


def _lay(mesh: Trimesh, times: int = 1) -> Trimesh:
    """Cyclic axis change, exact in floating point: once moves (x, y, z) to (y, z, x)."""
    return Trimesh(np.roll(mesh.vertices, times, axis=1), mesh.faces, process=False)


def _turn(mesh: Trimesh, quarters: int) -> Trimesh:
    """Exact rotation about z by a number of quarter turns."""
    x, y, z = mesh.vertices.T
    turned = ((x, y), (-y, x), (-x, -y), (y, -x))[quarters % 4]
    return Trimesh(np.column_stack([*turned, z]), mesh.faces, process=False)


def _solid(parts: Sequence[Trimesh], tools: Sequence[Trimesh] = ()) -> Trimesh:
    """Union of the parts less all tools."""
    body = trimesh.boolean.union(parts, engine="manifold")
    return trimesh.boolean.difference([body, *tools], engine="manifold") if tools else body


def _row(
    rng: Generator, span: float, item: float, gap: float, margin: float, most: int
) -> NDArray[np.float64]:
    """Centres of one to `most` evenly spaced items along a centred span."""
    fitting = int((span - 2 * margin + gap) // (item + gap))
    n = int(rng.integers(1, max(1, min(fitting, most)) + 1))
    pitch = _draw(rng, item + gap, (span - 2 * margin - item) / max(1, n - 1))
    return (np.arange(n, dtype=np.float64) - (n - 1) / 2) * pitch


def _holes(rng: Generator, x: Span, y: Span, z: Span, wall: float) -> list[Trimesh]:
    """Grid of round, hexagonal or square cutters along z, a wall apart, inside x by y."""
    width, depth = x[1] - x[0], y[1] - y[0]
    room = min(width, depth) / 2 - wall
    if room < 0.6 * wall:
        return []
    radius = _draw(rng, 0.6 * wall, min(room, 1.4 * wall) if rng.random() < 0.6 else room)
    section = _inner(_pick(rng, _ROUND, _ROUND, 6, 4), radius)
    xs = _row(rng, width, 2 * radius, wall, wall, 4) + (x[0] + x[1]) / 2
    ys = _row(rng, depth, 2 * radius, wall, wall, 3) + (y[0] + y[1]) / 2
    return [_prism(section, z, (cx, cy)) for cx in xs for cy in ys]


def _plate(rng: Generator, length: float = 36.0) -> Trimesh:
    """Plate with sharp, chamfered or round corners and a grid of holes, flat or on edge."""
    wall = _wall(length)
    width = _draw(rng, 0.45 * length, length)
    z = (0.0, _draw(rng, wall, 0.28 * length))
    sides = _pick(rng, 4, 8, 40)
    corner = 0.0 if sides == 4 else _draw(rng, 0.05 * width, 0.49 * width)
    # The largest centred rectangle that corners of this size leave whole.
    x, y = length / 2 - 0.3 * corner, width / 2 - 0.3 * corner
    tools = _holes(rng, (-x, x), (-y, y), (-wall, length), wall)
    body = _prism(_rectangle(length, width, max(corner, wall), sides), z)
    return _lay(_solid([body], tools), _pick(rng, 0, 0, 1, 2))


def _bracket(rng: Generator, length: float = 36.0) -> Trimesh:
    """L or inverted-T bracket with holes in base or wall and up to two gussets."""
    wall = _wall(length)
    reach, height = rng.permutation([length, _draw(rng, 0.5 * length, length)]).tolist()
    width = _draw(rng, 0.5 * length, length)
    base, back = (_draw(rng, wall, 0.22 * length) for _ in range(2))
    start = _draw(rng, wall, 0.45 * (reach - back)) if rng.random() < 0.3 else 0.0
    front = start + back
    thick = _draw(rng, wall, 0.3 * width)
    gussets = [0.0, width - thick][: int(rng.integers(3))]
    bay = (thick if gussets else 0.0, width - thick if len(gussets) > 1 else width)
    size = _draw(rng, 0.4, 0.9) * min(reach - front, height - base)
    # Sunk into base and wall, so that gussets overlap them instead of touching.
    low, deep, top, toe = base / 2, front - back / 2, base + size, front + size
    rib = np.array([(top, deep), (top, front), (base, toe), (low, toe), (low, deep)])
    parts = [
        _box((0.0, reach), (0.0, width), (0.0, base)),
        _box((start, front), (0.0, width), (0.0, height)),
        *(_lay(_prism(rib, (g, g + thick)), 2) for g in gussets),
    ]
    tools = _holes(rng, (front, reach), bay, (-wall, base + wall), wall)
    if rng.random() < 0.7:
        drills = _holes(rng, bay, (base, height), (start - wall, front + wall), wall)
        tools += [_lay(drill) for drill in drills]
    return _lay(_solid(parts, tools), _pick(rng, 0, 0, 2))


def _tube(rng: Generator, length: float = 36.0) -> Trimesh:
    """Round or polygonal ring or tube, upright or lying, some slit, stepped or cross-drilled."""
    wall = _wall(length)
    girth, height = length, _draw(rng, 1.5 * wall, length)
    if rng.random() < 0.4:
        girth, height = _draw(rng, 4.5 * wall, 0.9 * length), length
    sides = _pick(rng, _ROUND, _ROUND, _ROUND, 4, 6, 6, 8)
    flat = girth / 2 * math.cos(math.pi / sides)
    thick = _draw(rng, wall, wall + (flat - 1.7 * wall) * rng.random())
    bore, shift, z, beyond = flat - thick, 0.0, (0.0, height), (-wall, height + wall)
    hollow = _ngon(sides, bore) if rng.random() < 0.4 else _inner(_pick(rng, _ROUND, 6), bore)
    tools, extra = [], int(rng.integers(5))
    if extra == 0 and height > 2.5 * wall:
        sink = _inner(_ROUND, _draw(rng, bore, flat - wall))
        tools = [_prism(sink, (_draw(rng, wall, height - wall), height + wall))]
    elif extra == 1:
        half = _draw(rng, 0.5 * wall, 0.6 * bore)
        # At the side of a lying ring the upper lip would start in mid-air, hence on top.
        tools = [_box((-half, half), (0.0, length), beyond)]
    elif extra == 2 and height > 3.5 * wall:
        drill = _ngon(_ROUND, _draw(rng, 0.6 * wall, min(0.6 * bore, height / 2 - wall)))
        tools = [_lay(_prism(drill, (_pick(rng, -1, 0) * length, length), (0.0, height / 2)))]
    elif extra == 3:
        shift = _draw(rng, 0.0, thick - wall)
    tools.append(_prism(hollow, beyond, (shift, 0.0)))
    return _lay(_solid([_prism(_ngon(sides, flat), z)], tools), _pick(rng, 0, 1, 1))


def _channel(rng: Generator, length: float = 36.0) -> Trimesh:
    """U, I or T section, turned also into C and H, standing or lying; U opens up or sideways."""
    wall = _wall(length)
    dims = rng.uniform(0.52, 1.0, 3) * length
    dims[rng.integers(3)] = length
    x, y, z = dims.tolist()
    base = _draw(rng, wall, min(0.25 * length, (y - 1.2 * wall) / 2))
    side = _draw(rng, wall, min(0.25 * length, (x - 1.2 * wall) / 2))
    across, along = (-x / 2, x / 2), (0.0, z)
    kind = rng.choice(list("UUIT"))
    place = _draw(rng, 0.3, 0.7) * (x - side) - x / 2
    webs = [-x / 2, x / 2 - side] if kind == "U" else [place]
    parts = [_box((web, web + side), (0.0, y), along) for web in webs]
    parts.append(_box(across, (0.0, base), along))
    if kind == "I":
        parts.append(_box(across, (y - base, y), along))
    clear = (base, y - base) if kind == "I" else (base, y)
    tools = _holes(rng, clear, along, (-length, length), wall) if rng.random() < 0.6 else []
    body = _turn(_solid(parts, [_lay(tool) for tool in tools]), _pick(rng, 0, 1, 3))
    return _lay(body, _pick(rng, 0, 1, 1))


def _arch(rng: Generator, length: float = 36.0) -> Trimesh:
    """Vault, bridge of one or two spans, or closed frame with round, flat or pointed openings."""
    wall = _wall(length)
    height, depth = _draw(rng, 0.55 * length, length), _draw(rng, 1.5 * wall, length)
    roof, leg, sill = (_draw(rng, wall, 0.2 * length) for _ in range(3))
    points, spans = _pick(rng, 2, 3, 4, 24, 24, 24), _pick(rng, 1, 1, 2)
    outline = _gate(length / 2, height, 2, 0.0)
    if rng.random() < 0.35:
        points, spans, leg = 24, 1, roof
        outline = _gate(length / 2, height - length / 2, 24, 0.0)
    floor = sill if rng.random() < 0.3 else 0.0
    lowest, rise = (floor + wall, 0.0) if points == 2 else (floor, 1.0)
    pitch = (length - leg) / spans
    radius = (pitch - leg) / 2
    if rise:
        radius = min(radius, height - roof - lowest)
    highest = height - roof - rise * radius
    spring = _draw(rng, max(lowest, 0.4 * highest), highest)
    opening = _gate(radius, spring, points, floor or -wall)
    centres = [(k - (spans - 1) / 2) * pitch for k in range(spans)]
    tools = [_prism(opening, (-wall, depth + wall), (c, 0.0)) for c in centres]
    if rng.random() < 0.3:
        bay, up = (centres[0] - radius, centres[0] + radius), (-wall, length + wall)
        tools += [_lay(t, 2) for t in _holes(rng, (0.0, depth), bay, up, wall)]
    return _lay(_solid([_prism(outline, (0.0, depth))], tools))


def _ribs(rng: Generator, length: float = 36.0) -> Trimesh:
    """Base plate with ribs along one or both directions, flat or on edge."""
    wall = _wall(length)
    width = _draw(rng, 0.5 * length, length)
    base, rib, cross = (_draw(rng, wall, 0.2 * length) for _ in range(3))
    low, high = (base + _draw(rng, wall, 0.5 * length) for _ in range(2))
    x, y = (-length / 2, length / 2), (-width / 2, width / 2)
    parts = [_box(x, y, (0.0, base))]
    rows = _row(rng, width, rib, wall, 0.0, 4)
    parts += [_box(x, (c - rib / 2, c + rib / 2), (0.0, low)) for c in rows]
    if rng.random() < 0.5:
        rows = _row(rng, length, cross, wall, 0.0, 4)
        parts += [_box((c - cross / 2, c + cross / 2), y, (0.0, high)) for c in rows]
    return _lay(_solid(parts), _pick(rng, 0, 0, 1, 2))


def _shaft(rng: Generator, length: float = 36.0) -> Trimesh:
    """Stepped shaft, some bored, with a keyway or a hexagonal collar, upright or lying."""
    wall = _wall(length)
    count, lying = int(rng.integers(2, 5)), rng.random() < 0.5
    height = length if rng.random() < 0.7 else _draw(rng, 0.6 * length, length)
    # A hexagon around this radius still fits into the length.
    largest = _draw(rng, 2.0 * wall, 0.43 * length)
    bore = _draw(rng, 0.6 * wall, largest - 1.4 * wall) if rng.random() < 0.6 else 0.0
    radii = rng.uniform(bore + wall, largest, count)
    radii[rng.integers(count)] = largest
    if lying:
        # Between two shoulders the smaller one would start in mid-air, so keep a single peak.
        radii = np.sort(radii)
        radii = np.concatenate([radii[::2], radii[1::2][::-1]])
    sides = np.full(count, _ROUND)
    sides[radii.argmax()] = _pick(rng, _ROUND, _ROUND, 6)
    steps = wall + (height - count * wall) * rng.dirichlet(np.ones(count))
    levels = [0.0, *np.cumsum(steps).tolist()]
    parts = [_prism(_ngon(*s), z) for *s, z in zip(sides, radii, pairwise(levels), strict=True)]
    end = float(radii[-1])
    slot = min(_draw(rng, 0.6 * wall, 0.5 * end), end - bore - wall)
    tools = []
    if rng.random() < 0.4 and slot >= 0.6 * wall:
        half = _draw(rng, 0.4 * wall, 0.35 * end)
        tools = [_box((-half, half), (end - slot, length), (levels[-2], height + wall))]
    if bore:
        hollow = _inner(_pick(rng, _ROUND, _ROUND, 6), bore)
        tools.append(_prism(hollow, (-wall, height + wall)))
    return _lay(_solid(parts, tools), int(lying))


def _block(rng: Generator, length: float = 36.0) -> Trimesh:
    """Block or prism with n sides: through bores, crossing bores or blind pockets, any axis."""
    wall = _wall(length)
    sides = _pick(rng, 4, 4, 4, 5, 6, 6, 8)
    dims = rng.uniform(0.5, 1.0, 3) * length
    dims[rng.integers(3)] = length
    x, y, z = dims.tolist()
    outline = _rectangle(x, y, _draw(rng, 0.1, 0.6) * wall, _pick(rng, 4, 8, 24))
    reach = min(x, y) / 2
    if sides > 4:
        reach = max(x / 2, 2.0 * wall) * math.cos(math.pi / sides)
        outline = _ngon(sides, reach)
        x = y = reach * math.sqrt(2.0)
    kind, tools = int(rng.integers(4)), []
    if kind < 2:
        bottom = -wall if kind == 0 else _draw(rng, wall, 0.7 * z)
        tools = _holes(rng, (-x / 2, x / 2), (-y / 2, y / 2), (bottom, z + wall), wall)
    if not tools:
        hollow = _inner(_pick(rng, _ROUND, _ROUND, 6, 8), _draw(rng, 0.6 * wall, reach - wall))
        tools = [_prism(hollow, (-wall, z + wall))]
    if kind == 3:
        for times, across in ((1, y), (2, x))[: _pick(rng, 1, 2) if sides == 4 else 1]:
            # Crossing bores leave posts at the corners, hence more than a wall.
            drill = _inner(_ROUND, _draw(rng, 0.6 * wall, min(across, z) / 2 - 1.4 * wall))
            at = (0.0, z / 2) if times == 1 else (z / 2, 0.0)
            tools.append(_lay(_prism(drill, (-length, length), at), times))
    times = _pick(rng, 0, 1, 2) if sides == 4 else _pick(rng, 0, 1)
    return _lay(_solid([_prism(outline, (0.0, z))], tools), times)


def _flange(rng: Generator, length: float = 36.0) -> Trimesh:
    """Round or polygonal disc with a hub, a through bore and a bolt circle, flat or on edge."""
    wall = _wall(length)
    sides = _pick(rng, _ROUND, _ROUND, _ROUND, 4, 6, 8)
    flat = length / 2 * math.cos(math.pi / sides)
    bore = _draw(rng, 0.6 * wall, 0.55 * flat - wall)
    hub = _draw(rng, bore + wall, 0.7 * flat)
    thick = _draw(rng, wall, 0.25 * length)
    height = thick + _draw(rng, 0.5 * wall, 0.5 * length)
    beyond = (-wall, height + wall)
    disc, boss = _prism(_ngon(sides, flat), (0.0, thick)), _prism(_ngon(_ROUND, hub), (0.0, height))
    tools = [_prism(_inner(_pick(rng, _ROUND, _ROUND, 6), bore), beyond)]
    room = (flat - hub - wall) / 2
    if room > 0.5 * wall:
        bolt = _draw(rng, 0.5 * wall, room)
        circle = flat - wall - bolt
        fitting = int(math.pi / math.asin((bolt + wall / 2) / circle))
        count = int(rng.integers(3, max(3, min(8, fitting)) + 1))
        tools += [_prism(_ngon(_ROUND, bolt), beyond, tuple(c)) for c in _inner(count, circle)]
    return _lay(_solid([disc, boss], tools), _pick(rng, 0, 1))


FAMILIES: dict[str, Callable[..., Trimesh]] = {
    "plate": _plate,
    "bracket": _bracket,
    "tube": _tube,
    "channel": _channel,
    "arch": _arch,
    "ribs": _ribs,
    "shaft": _shaft,
    "block": _block,
    "flange": _flange,
}


def procedural_part(
    seed: int | Sequence[int] | Generator,
    family: str | None = None,
    *,
    size: tuple[float, float] = (24.0, 50.0),
) -> Trimesh:
    """Make one random part, always the same one for the same seed.

    The part is one watertight body with axis-aligned features, centred at x = y = 0 and
    resting on z = 0. Walls are 3.5 mm or thicker (in proportion thinner for parts below
    24 mm), and no layer starts an island when the part is built upwards along z.

    Args:
        seed: Anything `numpy.random.default_rng` takes; a generator is advanced.
        family: A key of `FAMILIES`, or None to draw one uniformly.
        size: Bounds in mm between which the largest extent is drawn uniformly.

    Returns:
        The mesh in mm, with the name of its family in `metadata["family"]`.

    Raises:
        ValueError: If `family` is unknown, or `size` is not positive, finite and ordered.
    """
    low, high = size
    if not 0.0 < low <= high < math.inf:
        raise ValueError(f"size must be positive, finite and ordered (low, high), got {size}")
    if family is not None and family not in FAMILIES:
        raise ValueError(f"unknown family {family!r}, choose from {', '.join(FAMILIES)}")
    rng = np.random.default_rng(seed)
    if family is None:
        family = list(FAMILIES)[rng.integers(len(FAMILIES))]
    length = float(rng.uniform(low, high))
    mesh = FAMILIES[family](rng, length)
    mesh = _turn(mesh, _pick(rng, 0, 0, 0, 1, 2, 3))
    origin = np.array([*mesh.bounds.mean(axis=0)[:2], mesh.bounds[0, 2]])
    vertices = (mesh.vertices - origin) * (length / mesh.extents.max())
    return Trimesh(vertices, mesh.faces, process=False, metadata={"family": family})
