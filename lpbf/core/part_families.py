"""Families of random, CAD-like parts.

Each builder makes a part upright: sections in the xy plane extruded along z, with -y as the side
that faces down when the part lies. Laying a part down moves z to x and y to z, so a polygonal part
always rests on a flat face. No builder exceeds the requested length, so the final scaling never
thins a wall.
"""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.random import Generator

from lpbf.core.part_shapes import (
    ROUND,
    box,
    centers,
    combine,
    cycle_axes,
    doorway,
    draw,
    holes,
    inscribed,
    min_wall,
    pick,
    polygon,
    prism,
    rectangle,
    rotate_z,
)

if TYPE_CHECKING:
    from trimesh import Trimesh


def _plate(rng: Generator, length: float) -> "Trimesh":
    """Plate with sharp, chamfered or round corners and a grid of holes, flat or on edge."""
    wall = min_wall(length)
    width = draw(rng, 0.45 * length, length)
    z = (0.0, draw(rng, wall, 0.28 * length))
    sides = pick(rng, 4, 8, 40)
    corner = 0.0 if sides == 4 else draw(rng, 0.05 * width, 0.49 * width)
    # The largest centred rectangle between corners of this size.
    x, y = length / 2 - 0.3 * corner, width / 2 - 0.3 * corner
    tools = holes(rng, (-x, x), (-y, y), (-wall, length), wall)
    body = prism(rectangle(length, width, max(corner, wall), sides), z)
    return cycle_axes(combine([body], tools), pick(rng, 0, 0, 1, 2))


def _bracket(rng: Generator, length: float) -> "Trimesh":
    """L or inverted-T bracket with holes in base or wall and up to two gussets."""
    wall = min_wall(length)
    reach, height = rng.permutation([length, draw(rng, 0.5 * length, length)]).tolist()
    width = draw(rng, 0.5 * length, length)
    base, back = (draw(rng, wall, 0.22 * length) for _ in range(2))
    start = draw(rng, wall, 0.45 * (reach - back)) if rng.random() < 0.3 else 0.0
    front = start + back
    thick = draw(rng, wall, 0.3 * width)
    gussets = [0.0, width - thick][: int(rng.integers(3))]
    bay = (thick if gussets else 0.0, width - thick if len(gussets) > 1 else width)
    size = draw(rng, 0.4, 0.9) * min(reach - front, height - base)
    # Gussets reach into base and wall: bodies that only touch have no sound union.
    low, deep, top, toe = base / 2, front - back / 2, base + size, front + size
    rib = np.array([(top, deep), (top, front), (base, toe), (low, toe), (low, deep)])
    parts = [
        box((0.0, reach), (0.0, width), (0.0, base)),
        box((start, front), (0.0, width), (0.0, height)),
        *(cycle_axes(prism(rib, (g, g + thick)), 2) for g in gussets),
    ]
    tools = holes(rng, (front, reach), bay, (-wall, base + wall), wall)
    if rng.random() < 0.7:
        drills = holes(rng, bay, (base, height), (start - wall, front + wall), wall)
        tools += [cycle_axes(drill) for drill in drills]
    return cycle_axes(combine(parts, tools), pick(rng, 0, 0, 2))


def _tube(rng: Generator, length: float) -> "Trimesh":
    """Round or polygonal ring or tube, upright or lying, some slit, stepped or cross-drilled."""
    wall = min_wall(length)
    girth, height = length, draw(rng, 1.5 * wall, length)
    if rng.random() < 0.4:
        girth, height = draw(rng, 4.5 * wall, 0.9 * length), length
    sides = pick(rng, ROUND, ROUND, ROUND, 4, 6, 6, 8)
    flat = girth / 2 * math.cos(math.pi / sides)
    thick = draw(rng, wall, wall + (flat - 1.7 * wall) * rng.random())
    bore, shift, z, beyond = flat - thick, 0.0, (0.0, height), (-wall, height + wall)
    hollow = polygon(sides, bore) if rng.random() < 0.4 else inscribed(pick(rng, ROUND, 6), bore)
    tools, extra = [], int(rng.integers(5))
    if extra == 0 and height > 2.5 * wall:
        sink = inscribed(ROUND, draw(rng, bore, flat - wall))
        tools = [prism(sink, (draw(rng, wall, height - wall), height + wall))]
    elif extra == 1:
        half = draw(rng, 0.5 * wall, 0.6 * bore)
        # On top: at the side of a lying ring the upper lip would start in mid-air.
        tools = [box((-half, half), (0.0, length), beyond)]
    elif extra == 2 and height > 3.5 * wall:
        drill = polygon(ROUND, draw(rng, 0.6 * wall, min(0.6 * bore, height / 2 - wall)))
        tools = [cycle_axes(prism(drill, (pick(rng, -1, 0) * length, length), (0.0, height / 2)))]
    elif extra == 3:
        shift = draw(rng, 0.0, thick - wall)
    tools.append(prism(hollow, beyond, (shift, 0.0)))
    return cycle_axes(combine([prism(polygon(sides, flat), z)], tools), pick(rng, 0, 1, 1))


def _channel(rng: Generator, length: float) -> "Trimesh":
    """U, I or T section, also rotated to C and H, upright or lying; U opens up or sideways."""
    wall = min_wall(length)
    dims = rng.uniform(0.52, 1.0, 3) * length
    dims[rng.integers(3)] = length
    x, y, z = dims.tolist()
    base = draw(rng, wall, min(0.25 * length, (y - 1.2 * wall) / 2))
    side = draw(rng, wall, min(0.25 * length, (x - 1.2 * wall) / 2))
    across, along = (-x / 2, x / 2), (0.0, z)
    kind = rng.choice(list("UUIT"))
    place = draw(rng, 0.3, 0.7) * (x - side) - x / 2
    webs = [-x / 2, x / 2 - side] if kind == "U" else [place]
    parts = [box((web, web + side), (0.0, y), along) for web in webs]
    parts.append(box(across, (0.0, base), along))
    if kind == "I":
        parts.append(box(across, (y - base, y), along))
    clear = (base, y - base) if kind == "I" else (base, y)
    tools = holes(rng, clear, along, (-length, length), wall) if rng.random() < 0.6 else []
    body = rotate_z(combine(parts, [cycle_axes(tool) for tool in tools]), pick(rng, 0, 1, 3))
    return cycle_axes(body, pick(rng, 0, 1, 1))


def _arch(rng: Generator, length: float) -> "Trimesh":
    """Vault, bridge of one or two spans, or closed frame with round, flat or pointed openings."""
    wall = min_wall(length)
    height, depth = draw(rng, 0.55 * length, length), draw(rng, 1.5 * wall, length)
    roof, leg, sill = (draw(rng, wall, 0.2 * length) for _ in range(3))
    points, spans = pick(rng, 2, 3, 4, 24, 24, 24), pick(rng, 1, 1, 2)
    outline = doorway(length / 2, height, 2, 0.0)
    if rng.random() < 0.35:
        points, spans, leg = 24, 1, roof
        outline = doorway(length / 2, height - length / 2, 24, 0.0)
    floor = sill if rng.random() < 0.3 else 0.0
    lowest, rise = (floor + wall, 0.0) if points == 2 else (floor, 1.0)
    pitch = (length - leg) / spans
    radius = (pitch - leg) / 2
    if rise:
        radius = min(radius, height - roof - lowest)
    highest = height - roof - rise * radius
    spring = draw(rng, max(lowest, 0.4 * highest), highest)
    opening = doorway(radius, spring, points, floor or -wall)
    centres = [(k - (spans - 1) / 2) * pitch for k in range(spans)]
    tools = [prism(opening, (-wall, depth + wall), (c, 0.0)) for c in centres]
    if rng.random() < 0.3:
        bay, up = (centres[0] - radius, centres[0] + radius), (-wall, length + wall)
        tools += [cycle_axes(t, 2) for t in holes(rng, (0.0, depth), bay, up, wall)]
    return cycle_axes(combine([prism(outline, (0.0, depth))], tools))


def _ribs(rng: Generator, length: float) -> "Trimesh":
    """Base plate with ribs along one or both directions, flat or on edge."""
    wall = min_wall(length)
    width = draw(rng, 0.5 * length, length)
    base, rib, cross = (draw(rng, wall, 0.2 * length) for _ in range(3))
    low, high = (base + draw(rng, wall, 0.5 * length) for _ in range(2))
    x, y = (-length / 2, length / 2), (-width / 2, width / 2)
    parts = [box(x, y, (0.0, base))]
    rows = centers(rng, width, rib, wall, 0.0, 4)
    parts += [box(x, (c - rib / 2, c + rib / 2), (0.0, low)) for c in rows]
    if rng.random() < 0.5:
        rows = centers(rng, length, cross, wall, 0.0, 4)
        parts += [box((c - cross / 2, c + cross / 2), y, (0.0, high)) for c in rows]
    return cycle_axes(combine(parts), pick(rng, 0, 0, 1, 2))


def _shaft(rng: Generator, length: float) -> "Trimesh":
    """Stepped shaft, some bored, with a keyway or a hexagonal collar, upright or lying."""
    wall = min_wall(length)
    count, lying = int(rng.integers(2, 5)), rng.random() < 0.5
    height = length if rng.random() < 0.7 else draw(rng, 0.6 * length, length)
    # A hexagon around this radius still fits into the length.
    largest = draw(rng, 2.0 * wall, 0.43 * length)
    bore = draw(rng, 0.6 * wall, largest - 1.4 * wall) if rng.random() < 0.6 else 0.0
    radii = rng.uniform(bore + wall, largest, count)
    radii[rng.integers(count)] = largest
    if lying:
        # A single peak: between two shoulders the smaller one would start in mid-air.
        radii = np.sort(radii)
        radii = np.concatenate([radii[::2], radii[1::2][::-1]])
    sides = np.full(count, ROUND)
    sides[radii.argmax()] = pick(rng, ROUND, ROUND, 6)
    steps = wall + (height - count * wall) * rng.dirichlet(np.ones(count))
    levels = [0.0, *np.cumsum(steps).tolist()]
    parts = [prism(polygon(*s), z) for *s, z in zip(sides, radii, pairwise(levels), strict=True)]
    end = float(radii[-1])
    slot = min(draw(rng, 0.6 * wall, 0.5 * end), end - bore - wall)
    tools = []
    if rng.random() < 0.4 and slot >= 0.6 * wall:
        half = draw(rng, 0.4 * wall, 0.35 * end)
        tools = [box((-half, half), (end - slot, length), (levels[-2], height + wall))]
    if bore:
        hollow = inscribed(pick(rng, ROUND, ROUND, 6), bore)
        tools.append(prism(hollow, (-wall, height + wall)))
    return cycle_axes(combine(parts, tools), int(lying))


def _block(rng: Generator, length: float) -> "Trimesh":
    """Block or prism with n sides: through bores, crossing bores or blind pockets, any axis."""
    wall = min_wall(length)
    sides = pick(rng, 4, 4, 4, 5, 6, 6, 8)
    dims = rng.uniform(0.5, 1.0, 3) * length
    dims[rng.integers(3)] = length
    x, y, z = dims.tolist()
    outline = rectangle(x, y, draw(rng, 0.1, 0.6) * wall, pick(rng, 4, 8, 24))
    reach = min(x, y) / 2
    if sides > 4:
        reach = max(x / 2, 2.0 * wall) * math.cos(math.pi / sides)
        outline = polygon(sides, reach)
        x = y = reach * math.sqrt(2.0)
    kind, tools = int(rng.integers(4)), []
    if kind < 2:
        bottom = -wall if kind == 0 else draw(rng, wall, 0.7 * z)
        tools = holes(rng, (-x / 2, x / 2), (-y / 2, y / 2), (bottom, z + wall), wall)
    if not tools:
        hollow = inscribed(pick(rng, ROUND, ROUND, 6, 8), draw(rng, 0.6 * wall, reach - wall))
        tools = [prism(hollow, (-wall, z + wall))]
    if kind == 3:
        for times, across in ((1, y), (2, x))[: pick(rng, 1, 2) if sides == 4 else 1]:
            # More than a wall, since crossing bores leave posts at the corners.
            drill = inscribed(ROUND, draw(rng, 0.6 * wall, min(across, z) / 2 - 1.4 * wall))
            at = (0.0, z / 2) if times == 1 else (z / 2, 0.0)
            tools.append(cycle_axes(prism(drill, (-length, length), at), times))
    times = pick(rng, 0, 1, 2) if sides == 4 else pick(rng, 0, 1)
    return cycle_axes(combine([prism(outline, (0.0, z))], tools), times)


def _flange(rng: Generator, length: float) -> "Trimesh":
    """Round or polygonal disc with a hub, a through bore and a bolt circle, flat or on edge."""
    wall = min_wall(length)
    sides = pick(rng, ROUND, ROUND, ROUND, 4, 6, 8)
    flat = length / 2 * math.cos(math.pi / sides)
    bore = draw(rng, 0.6 * wall, 0.55 * flat - wall)
    hub = draw(rng, bore + wall, 0.7 * flat)
    thick = draw(rng, wall, 0.25 * length)
    height = thick + draw(rng, 0.5 * wall, 0.5 * length)
    beyond = (-wall, height + wall)
    disc = prism(polygon(sides, flat), (0.0, thick))
    boss = prism(polygon(ROUND, hub), (0.0, height))
    tools = [prism(inscribed(pick(rng, ROUND, ROUND, 6), bore), beyond)]
    room = (flat - hub - wall) / 2
    if room > 0.5 * wall:
        bolt = draw(rng, 0.5 * wall, room)
        circle = flat - wall - bolt
        fitting = int(math.pi / math.asin((bolt + wall / 2) / circle))
        count = int(rng.integers(3, max(3, min(8, fitting)) + 1))
        tools += [prism(polygon(ROUND, bolt), beyond, tuple(c)) for c in inscribed(count, circle)]
    return cycle_axes(combine([disc, boss], tools), pick(rng, 0, 1))


_BUILDERS = (_plate, _bracket, _tube, _channel, _arch, _ribs, _shaft, _block, _flange)
FAMILIES: dict[str, Callable[..., "Trimesh"]] = {f.__name__[1:]: f for f in _BUILDERS}
"""Builders by family, in the order in which :func:`lpbf.procedural_part` draws them."""
