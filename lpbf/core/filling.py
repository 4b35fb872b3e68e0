"""Comparison of voxels with the part that they fill."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lpbf.core.fill import Filled, fill, grid_shape
from lpbf.core.rigid_motion import RigidMotion
from lpbf.core.walls import Wall, Walls, find_walls

_TOLERANCE = 0.05
"""Accepted difference of the volumes, and share of an extent that may be lost."""
_WANTED = 0.04
"""Difference of the volumes at a pitch that is proposed."""
_DECIDED = 0.02
"""Accepted fraction of the volume that lies exactly on the border of voxels."""
_MAX_TRIES = 8


@dataclass(frozen=True)
class Filling:
    """How voxels fill their part, before unsupported ones are dropped.

    Attributes:
        volume: Volume of the voxels over that of the part.
        lost: Length of the part's ends without voxels along each axis, mm.
        extents: Extents of the part, mm.
        wall: Mean thickness 2 V / A of the part, which is that of a thin-walled one, mm.
        thinnest: The thinnest wall (:meth:`lpbf.core.walls.Walls.thinnest`), in the coordinates of
            the part's file; None without walls.
        lost_wall: The thinnest one of the walls that no voxel fills; None without.
        lost_surface: Share of the part's surface that is on those walls.
        thickened_wall: The thinnest one of the walls under half a voxel that voxels fill, which are
            over twice as thick; None without.
        thickened_surface: Share of the part's surface that is on those walls.
        dropped: Share of the voxels that were dropped afterwards, because they are unsupported.
    """

    volume: float
    lost: tuple[float, float, float]
    extents: tuple[float, float, float]
    wall: float
    thinnest: Wall | None = None
    lost_wall: Wall | None = None
    lost_surface: float = 0.0
    thickened_wall: Wall | None = None
    thickened_surface: float = 0.0
    dropped: float = 0.0

    def reasons(self, tolerance: float = _TOLERANCE) -> list[str]:
        """How the voxels differ from the part by more than a fraction.

        Walls that no voxel fills may have a fifth of the fraction of the part's surface, and so may
        walls that become over twice as thick.
        """
        reasons = []
        if abs(self.volume - 1) > tolerance:
            reasons.append(f"its voxels hold {100 * self.volume:.0f} % of its volume")
        for axis, (lost, extent) in enumerate(zip(self.lost, self.extents, strict=True)):
            if lost > tolerance * extent:
                reasons.append(
                    f"{lost:.3g} of its {extent:.4g} mm along {'xyz'[axis]} are thinner than the "
                    f"voxels and lost"
                )
        if self.lost_wall is not None and self.lost_surface > tolerance / 5:
            reasons.append(
                f"{100 * self.lost_surface:.2g} % of its surface is on walls that no voxel fills, "
                f"the thinnest of {self.lost_wall}"
            )
        if self.thickened_wall is not None and self.thickened_surface > tolerance / 5:
            reasons.append(
                f"{100 * self.thickened_surface:.2g} % of its surface is on walls under half a "
                f"voxel that become a voxel thick, the thinnest of {self.thickened_wall}"
            )
        return reasons


def check_filling(
    filled: Filled,
    triangles: NDArray[np.float64],
    sizes: NDArray[np.float64],
    max_voxels: int,
    motion: RigidMotion,
) -> tuple[Filling, list[str]]:
    """Compare voxels with their part: its volume, its extents, and faces that rounding decides on.

    Args:
        filled: Voxels inside a closed surface, on a grid that is centred in x and y and begins at
            z = 0.
        triangles: Corners of the triangles, [T, 3, 3], in the coordinates of the grid.
        sizes: Edge lengths of a voxel, mm.
        max_voxels: Largest number of voxels of a pitch that is proposed.
        motion: Motion from the part's file to the grid.

    Returns:
        The comparison; and no note or one, with a pitch that helps if one is found.
    """
    walls = find_walls(triangles)
    filling, axes = _compare(filled, triangles, sizes, walls, motion)
    extents = np.ptp(triangles, axis=(0, 1))
    extents[2] = triangles[:, :, 2].max()  # from the plate
    reasons = filling.reasons()
    if axes:
        reasons.append(
            f"its surface lies on the centres of voxels along {' and '.join(axes)}, so that "
            f"rounding decides about them and walls may become unequal"
        )
    if not reasons:
        return filling, []
    remedy, thin = "use a finer pitch", filling.thinnest
    if thin is not None and thin.thickness < sizes.max():
        remedy += f", as its thinnest wall is {thin.thickness:.3g} mm thick"
    for scale in _scales(filling, sizes):
        finer = scale * sizes
        # Walls thinner than the voxels would be lost or become one voxel thick.
        if walls.share[walls.thinner(finer, 1 - _TOLERANCE)].sum() > _WANTED / 5:
            continue
        shape, count = grid_shape(extents, finer)
        if count > max_voxels:
            break
        nx, ny, nz = (int(n) for n in shape)
        origin = np.array([-nx * finer[0] / 2, -ny * finer[1] / 2, 0.0])
        refilled = fill(triangles, (nx, ny, nz), finer, origin, watertight=True)
        better, on_border = _compare(refilled, triangles, finer, walls, motion)
        if not better.reasons(_WANTED) and not on_border:
            edges = finer[:1] if np.ptp(finer) == 0 else finer
            text = " x ".join(f"{edge:.4g}" for edge in edges)
            remedy = f"a pitch of {text} mm gives {100 * better.volume:.0f} % of the volume"
            break
    return filling, [f"{' and '.join(reasons)}; {remedy}"]


def _compare(
    filled: Filled,
    triangles: NDArray[np.float64],
    sizes: NDArray[np.float64],
    walls: Walls,
    motion: RigidMotion,
) -> tuple[Filling, list[str]]:
    """Comparison of voxels and part, and the axes along which rounding decides."""
    assert filled.winding is not None
    a, b, c = np.moveaxis(triangles, 1, 0)
    normals = np.cross(b - a, c - a) / 2
    volume = abs(float(np.einsum("ni,ni->", a, normals))) / 3
    # Overlaps count as often on both sides.
    voxels = abs(float(filled.winding.sum())) * float(sizes.prod())
    wall = 2 * volume / float(np.linalg.norm(normals, axis=1).sum())
    x, y, z = np.ptp(triangles, axis=(0, 1)).tolist()
    ratio = voxels / volume if volume else 1.0
    shape = np.array(filled.winding.shape)
    origin = np.array([*(-shape * sizes / 2)[:2], 0.0])
    lost = walls.lost(filled.mask, sizes, origin)
    thickened = walls.thinner(sizes, 0.5) & ~lost
    thinnest, lost_wall, thickened_wall = (
        None if wall is None else wall.before(motion)
        for wall in (walls.thinnest(), walls.thinnest(lost), walls.thinnest(thickened))
    )
    filling = Filling(
        ratio,
        _lost(filled.mask, sizes, (x, y, z)),
        (x, y, z),
        wall,
        thinnest,
        lost_wall,
        float(walls.share[lost].sum()),
        thickened_wall,
        float(walls.share[thickened].sum()),
    )
    if volume == 0:
        return filling, []
    extents = np.ptp(triangles, axis=1)
    axes = []
    for axis, name in enumerate("xyz"):
        flat = extents[:, axis] <= 1e-9 * float(np.abs(triangles).max())
        row = (triangles[flat, 0, axis] - origin[axis]) / sizes[axis] - 0.5
        number = np.rint(row)
        on_centre = (np.abs(row - number) < 1e-6) & (number >= 0) & (number < shape[axis])
        area = float(np.abs(normals[flat, axis])[on_centre].sum())
        if area * sizes[axis] / 2 > _DECIDED * volume:
            axes.append(name)
    return filling, axes


def _lost(
    mask: NDArray[np.bool_], sizes: NDArray[np.float64], extents: tuple[float, float, float]
) -> tuple[float, float, float]:
    """Length by which the voxels fall short of each extent, mm; up to a voxel is rounding."""
    if not mask.any():
        return 0.0, 0.0, 0.0
    lost = []
    for axis, (size, extent) in enumerate(zip(sizes.tolist(), extents, strict=True)):
        rows = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
        short = extent - size * int(rows[-1] - rows[0] + 1)
        lost.append(short if short > size else 0.0)
    x, y, z = lost
    return x, y, z


def _scales(filling: Filling, sizes: NDArray[np.float64]) -> Iterator[float]:
    """Factors of the pitch to try, from the largest: fractions of the part's typical lengths.

    One and two voxels more than now across the thinnest walls are always among them.
    """
    walls = [wall.thickness for wall in (filling.thinnest, filling.lost_wall) if wall is not None]
    pitch = float(sizes.min())

    def edges(lengths: Sequence[float], count: int) -> set[float]:
        parts = (
            (length, math.ceil(length / pitch) + n) for length in lengths for n in range(count)
        )
        found = {float(f"{length / number:.3g}") for length, number in parts}
        return {edge for edge in found if pitch / 4 <= edge < 0.99 * pitch}

    others = sorted(edges((filling.wall, *filling.extents, pitch), 4), reverse=True)
    tries = edges(walls, 2).union(others[:_MAX_TRIES])
    yield from (edge / pitch for edge in sorted(tries, reverse=True))
