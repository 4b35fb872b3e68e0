"""Coordinate systems of Nastran."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_mesh.io.readers.nastran_cards import BulkData
from flare_mesh.io.readers.nastran_numbers import integers, reals

_Array = NDArray[np.float64]
_KINDS = "RCS"


@dataclass(frozen=True)
class _System:
    """A system that is not yet placed in the basic one.

    Attributes:
        kind: ``"R"``, ``"C"`` or ``"S"``: rectangular, cylindrical or spherical.
        line: Line of its card.
        within: System of its points, for CORD2.
        points: Origin, a point of the z axis and one of the xz plane, [3, 3], for CORD2.
        grids: Rows of the three grid points in their place, for CORD1.
    """

    kind: str
    line: int
    within: int = 0
    points: _Array | None = None
    grids: NDArray[np.int64] | None = None


@dataclass(frozen=True)
class _Placed:
    """A system in the basic one: its kind, origin [3] and axes as rows [3, 3]."""

    kind: str
    origin: _Array
    axes: _Array

    def basic(self, points: _Array) -> _Array:
        """Coordinates [N, 3] of this system in the basic one; angles are in degrees."""
        if self.kind == "C":
            angle = np.deg2rad(points[:, 1])
            points = np.stack(
                [points[:, 0] * np.cos(angle), points[:, 0] * np.sin(angle), points[:, 2]], axis=1
            )
        elif self.kind == "S":
            polar, azimuth = np.deg2rad(points[:, 1:]).T
            inward = points[:, 0] * np.sin(polar)
            points = np.stack(
                [
                    inward * np.cos(azimuth),
                    inward * np.sin(azimuth),
                    points[:, 0] * np.cos(polar),
                ],
                axis=1,
            )
        return self.origin + points @ self.axes


def basic_coordinates(
    deck: BulkData,
    ids: NDArray[np.int64],
    points: _Array,
    systems: NDArray[np.int64],
    lines: NDArray[np.int64],
) -> _Array:
    """Coordinates of the grid points in the basic system, [N, 3].

    Source: CORD1R, CORD1C, CORD1S, CORD2R, CORD2C and CORD2S of the quick reference guides.

    Args:
        deck: The cards.
        ids: Number of each grid point, [N].
        points: Coordinates of each grid point in its own system, [N, 3].
        systems: Number of that system, 0 for the basic one, [N].
        lines: Line of each grid point's card, [N].

    Raises:
        ValueError: If a system does not exist, is defined twice, depends on itself, or has axes of
            length zero.
    """
    if not systems.any():
        return points
    defined = {**_by_points(deck), **_by_grids(deck, ids)}
    order = np.argsort(systems, kind="stable")
    numbers, starts = np.unique(systems[order], return_index=True)
    members = dict(zip(numbers.tolist(), np.split(order, starts[1:]), strict=True))
    for number, rows in members.items():
        if number and number not in defined:
            raise ValueError(
                f"line {lines[rows[0]]}: grid point {ids[rows[0]]} is in the coordinate system "
                f"{number}, which no CORD1R, CORD1C, CORD1S, CORD2R, CORD2C or CORD2S defines"
            )
    basic = points.copy()
    waiting: defaultdict[int, list[int]] = defaultdict(list)
    missing = {}
    for number, system in defined.items():
        needed = {system.within} if system.grids is None else set(systems[system.grids].tolist())
        missing[number] = len(needed)
        for other in needed:
            waiting[other].append(number)
    ready, placed = [0], {0: _Placed("R", np.zeros(3), np.eye(3))}
    while ready:
        number = ready.pop()
        if number:
            placed[number] = _place(number, defined[number], placed, basic)
        if number in members:
            basic[members[number]] = placed[number].basic(points[members[number]])
        for other in waiting[number]:
            missing[other] -= 1
            if not missing[other]:
                ready.append(other)
    lost = [number for number in members if number not in placed]
    if lost:
        raise ValueError(
            f"line {defined[lost[0]].line}: the coordinate system {lost[0]} depends on itself or "
            f"on a system that is not defined"
        )
    return basic


def _by_points(deck: BulkData) -> dict[int, _System]:
    """Systems by three points (CORD2R, CORD2C, CORD2S)."""
    found: dict[int, _System] = {}
    for kind in _KINDS:
        cards = deck.cards(f"CORD2{kind}", 11)
        numbers, corners = integers(cards, slice(0, 2)), reals(cards, slice(2, 11))
        for (number, within), points, line in zip(
            numbers.tolist(), corners, cards.lines.tolist(), strict=True
        ):
            system = _System(kind, line, within, points.reshape(3, 3))
            same = found.get(number)
            if same is not None and not (
                (same.kind, same.within) == (kind, within)
                and same.points is not None
                and np.array_equal(same.points.ravel(), points)
            ):
                raise _twice(number, line)
            found[number] = system
    return found


def _by_grids(deck: BulkData, ids: NDArray[np.int64]) -> dict[int, _System]:
    """Systems by three grid points (CORD1R, CORD1C, CORD1S), two to a card."""
    rows = {number: row for row, number in enumerate(ids.tolist())}
    found = {}
    taken = _by_points(deck)
    for kind in _KINDS:
        cards = deck.cards(f"CORD1{kind}", 8)
        for both, line in zip(integers(cards, slice(0, 8)), cards.lines.tolist(), strict=True):
            for number, *grids in both.reshape(2, 4).tolist():
                if not number:
                    continue
                lost = [grid for grid in grids if grid not in rows]
                if lost:
                    raise ValueError(
                        f"line {line}: CORD1{kind} has the grid point {lost[0]}, which does not "
                        f"exist"
                    )
                if number in found or number in taken:
                    raise _twice(number, line)
                places = np.array([rows[grid] for grid in grids])
                found[number] = _System(kind, line, grids=places)
    return found


def _place(number: int, system: _System, placed: dict[int, _Placed], basic: _Array) -> _Placed:
    if system.points is not None:
        corners = placed[system.within].basic(system.points)
    else:
        corners = basic[system.grids]
    origin, on_axis, in_plane = corners
    axis = on_axis - origin
    normal = np.cross(axis, in_plane - origin)
    lengths = np.linalg.norm(axis), np.linalg.norm(normal)
    if not min(lengths) > 1e-12 * np.abs(corners).max() * max(lengths[0], 1e-300):
        raise ValueError(
            f"line {system.line}: the three points of the coordinate system {number} are on a line"
        )
    z, y = axis / lengths[0], normal / lengths[1]
    x: Any = np.cross(y, z)
    return _Placed(system.kind, origin, np.stack([x, y, z]))


def _twice(number: int, line: int) -> ValueError:
    return ValueError(
        f"line {line}: the coordinate system {number} is defined twice; remove one of them"
    )
