"""A closed surface in, a hexahedral mesh on the build plate out."""

import math
from pathlib import Path

import numpy as np
import trimesh
from numpy.typing import NDArray

from lpbf.core.errors import PartError
from lpbf.core.islands import check_islands, treat_islands
from lpbf.core.mesh import HexMesh
from lpbf.core.part import load_part, part_name

MAX_VOXELS = 4_000_000
BUILD_VOLUME = (250.0, 250.0, 300.0)

# Pairs of triangle and grid column handled at a time: bounds the memory.
_CHUNK = 2_000_000


def voxelize(
    part: trimesh.Trimesh | str | Path,
    pitch: float | tuple[float, float, float],
    *,
    islands: str = "drop",
    max_voxels: int = MAX_VOXELS,
    build_volume: tuple[float, float, float] = BUILD_VOLUME,
) -> HexMesh:
    """Fills a surface with voxels, centred at x = y = 0 and resting on the plate z = 0.

    A voxel belongs to the part if its centre lies inside. Inside is where the signed number of
    surface crossings along a grid line is not zero, so bodies that overlap are united and
    inward-facing shells are cavities. Where the surface is open, lines along the three axes vote.

    Args:
        part: A surface in mm, or the path of a file (:data:`lpbf.core.part.PART_SUFFIXES`).
        pitch: Edge length of the voxels in mm, one or (x, y, z).
        islands: Treatment of voxels that nothing supports when their layer is built: ``"drop"``
            them with a warning, ``"refuse"`` the part, or leave them to the ``"powder"`` of the
            :class:`lpbf.Process`.
        max_voxels: Limit on the voxels of the part's bounding box.
        build_volume: Largest extents that the machine can build, mm.

    Raises:
        FileNotFoundError: If the file does not exist.
        PartError: If the file or surface is unusable, larger than the build volume, or the pitch
            gives no or too many voxels.
        IslandError: If ``islands="refuse"`` and there are unsupported voxels.
    """
    check_islands(islands)
    surface = load_part(part)
    name = part_name(surface)
    sizes = np.asarray(pitch, dtype=np.float64)
    if sizes.shape not in ((), (3,)) or not (np.isfinite(sizes) & (sizes > 0)).all():
        raise PartError(f"{name}: expected one or three positive pitches in mm (got {pitch})")
    sizes = np.broadcast_to(sizes, 3)

    extents = np.asarray(surface.extents)
    if (extents > np.asarray(build_volume) * (1 + 1e-9)).any():
        raise PartError(
            f"{name}: {_box(extents)} mm is larger than the build volume of "
            f"{_box(build_volume)} mm; turn or scale the part (or pass build_volume= "
            f"to lpbf.voxelize)"
        )
    with np.errstate(over="ignore"):
        shape = np.maximum(np.rint(extents / sizes), 1)
        count = float(shape.prod())
    if count > max_voxels:
        coarser = (extents.prod() / max_voxels) ** (1 / 3)
        raise PartError(
            f"{name}: a pitch of {_box(sizes)} mm gives a grid of {count:,.15g} voxels, "
            f"over the limit of {max_voxels:,}; use a pitch of about {_round_up(coarser):g} mm"
        )

    if not surface.is_winding_consistent:
        surface = surface.copy()
        trimesh.repair.fix_normals(surface, multibody=True)
    center = surface.bounds.mean(axis=0)
    base = [center[0], center[1], surface.bounds[0, 2]]
    triangles = surface.triangles.view(np.ndarray) - base
    nx, ny, nz = (int(n) for n in shape)
    origin = (-nx * sizes[0] / 2, -ny * sizes[1] / 2, 0.0)
    mask = _fill(triangles, (nx, ny, nz), sizes, np.array(origin), surface.is_watertight)
    if not mask.any():
        raise PartError(
            f"{name}: no voxel centre lies inside at a pitch of {_box(sizes)} mm (the part is "
            f"{_box(extents)} mm); use a pitch below its wall thickness"
        )
    mask = mask[
        :, :, int(mask.any(axis=(0, 1)).argmax()) :
    ]  # rests on the plate, whatever was thin
    spacing = (float(sizes[0]), float(sizes[1]), float(sizes[2]))
    return treat_islands(HexMesh.from_mask(mask, spacing, origin), islands, name)


def _box(sizes) -> str:
    return " x ".join(f"{size:.4g}" for size in sizes)


def _round_up(value: float) -> float:
    """Up to two significant digits."""
    step = 10.0 ** (math.floor(math.log10(value)) - 1)
    return math.ceil(value / step) * step


def _fill(
    triangles: NDArray[np.float64],
    shape: tuple[int, int, int],
    sizes: NDArray[np.float64],
    origin: NDArray[np.float64],
    watertight: bool,
) -> NDArray[np.bool_]:
    """Voxels whose centres lie inside the triangles [T, 3, 3]; bool, of the given shape."""
    votes = np.zeros(shape, dtype=np.int8)
    for axis in (2, 0, 1):
        order = [(axis + 1) % 3, (axis + 2) % 3, axis]
        inside, closed = _fill_along_z(
            triangles[:, :, order],
            tuple(shape[a] for a in order),
            sizes[order],
            origin[order],
        )
        inside = inside.transpose(np.argsort(order))
        if watertight and closed:
            return inside
        votes += inside
    return votes >= 2


def _fill_along_z(
    triangles: NDArray[np.float64],
    shape: tuple[int, ...],
    sizes: NDArray[np.float64],
    origin: NDArray[np.float64],
) -> tuple[NDArray[np.bool_], bool]:
    """Voxels inside by the crossings along each z column, and whether every column closes."""
    nx, ny, nz = shape
    first = origin + sizes / 2
    low = np.ceil((triangles.min(axis=1) - first) / sizes)[:, :2].clip(0, None).astype(np.int64)
    high = np.floor((triangles.max(axis=1) - first) / sizes)[:, :2].astype(np.int64)
    spans = (np.minimum(high, [nx - 1, ny - 1]) - low + 1).clip(0, None)
    counts = spans.prod(axis=1)

    # crossings[i, j, k]: what the lines through column (i, j) cross between centres k - 1 and k.
    crossings = np.zeros(nx * ny * (nz + 1), dtype=np.int64)
    pending = np.flatnonzero(counts)
    ends = np.cumsum(counts[pending])
    for start in range(0, int(ends[-1]) if len(ends) else 0, _CHUNK):
        batch = pending[(ends > start) & (ends <= start + _CHUNK)]
        owner = np.repeat(batch, counts[batch])
        local = np.arange(len(owner)) - np.repeat(
            np.cumsum(counts[batch]) - counts[batch], counts[batch]
        )
        i = low[owner, 0] + local // spans[owner, 1]
        j = low[owner, 1] + local % spans[owner, 1]
        x, y = first[0] + i * sizes[0], first[1] + j * sizes[1]
        corners = triangles[owner]
        sides = np.stack(
            [_side(corners[:, a], corners[:, (a + 1) % 3], x, y) for a in range(3)], axis=1
        )
        hit = np.abs(sides.sum(axis=1)) == 3
        corners, sign = corners[hit], sides[hit, 0]
        z = _height(corners, x[hit], y[hit])
        k = np.ceil((z - first[2]) / sizes[2]).clip(0, nz).astype(np.int64)
        cell = (i[hit] * ny + j[hit]) * (nz + 1) + k
        np.add.at(crossings, cell, sign)

    below = crossings.reshape(nx, ny, nz + 1).cumsum(axis=2)
    total, below = below[:, :, -1:], below[:, :, :-1]
    return (below != 0) & (total != below), not total.any()


def _side(a, b, x, y) -> NDArray[np.int64]:
    """+1 or -1: the side of the line from a to b (in the xy plane) on which (x, y) lies.

    Both triangles at an edge get exactly opposite answers: the ends are put in one order before
    rounding can matter, and a point on the line counts as moved by an infinitesimal (d, d^2).
    """
    swap = (a[:, 0] > b[:, 0]) | ((a[:, 0] == b[:, 0]) & (a[:, 1] > b[:, 1]))
    p, q = np.where(swap[:, None], b, a), np.where(swap[:, None], a, b)
    dx, dy = q[:, 0] - p[:, 0], q[:, 1] - p[:, 1]
    area = dx * (y - p[:, 1]) - dy * (x - p[:, 0])
    area = np.where(area == 0, np.where(dy != 0, -dy, dx), area)
    return np.where(swap, -1, 1) * np.where(area > 0, 1, -1)


def _height(corners, x, y) -> NDArray[np.float64]:
    """z of each triangle's plane at (x, y), kept within the triangle's own range."""
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    normal = np.cross(b - a, c - a)
    steep = normal[:, 2] == 0
    rise = normal[:, 0] * (x - a[:, 0]) + normal[:, 1] * (y - a[:, 1])
    z = a[:, 2] - rise / np.where(steep, 1.0, normal[:, 2])
    return z.clip(corners[:, :, 2].min(axis=1), corners[:, :, 2].max(axis=1))
