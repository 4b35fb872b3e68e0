"""Hexahedral mesh of a sliced part."""

import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lpbf.core.checks import check_edges
from lpbf.core.errors import PartError, PartWarning
from lpbf.core.fill import grid_shape
from lpbf.core.islands import treat_islands
from lpbf.core.mesh import HexMesh
from lpbf.core.rigid_motion import RigidMotion
from lpbf.core.sliced_file import read_sliced
from lpbf.core.sliced_part import SlicedPart
from lpbf.core.units import size_text
from lpbf.core.voxelize import BUILD_VOLUME, MAX_VOXELS

_TOLERANCE = 0.10


def voxelize_layers(
    part: SlicedPart | str | Path,
    pitch: float | tuple[float, float, float],
    *,
    islands: str = "drop",
    max_voxels: int = MAX_VOXELS,
    build_volume: tuple[float, float, float] = BUILD_VOLUME,
) -> HexMesh:
    """Fill the contours of a sliced part with voxels, centred at x = y = 0 on the plate z = 0.

    A voxel belongs to the part if the winding number of the contours of its layer about its centre
    is positive: within outer contours, also where they overlap, and outside inner ones. Its layer
    is the one whose lower and upper surface are below and above its centre. Voxels that hold over
    10 % more or less than the layers give a :class:`PartWarning`.

    Args:
        part: The part, or the path of a CLI file.
        pitch: Edge length of the voxels in mm, one or (x, y, z).
        islands: See :func:`lpbf.voxelize`.
        max_voxels: Largest number of voxels in the box around the part.
        build_volume: Largest extents of the part, mm.

    Raises:
        FileNotFoundError: If the file does not exist.
        IslandError: If ``islands="refuse"`` and there are unsupported voxels.
        PartError: If the file is unusable, the part is larger than the build volume, or the pitch
            gives no or too many voxels.
        ValueError: If the pitch is not positive.
    """
    spacing = check_edges("the pitch", pitch)
    sliced = part if isinstance(part, SlicedPart) else read_sliced(Path(part))
    sizes, name = np.array(spacing), sliced.name
    low, high = sliced.bounds
    if ((high - low) > np.asarray(build_volume) * (1 + 1e-9)).any():
        raise PartError(
            f"{name}: {size_text(high - low)} mm is larger than the build volume of "
            f"{size_text(build_volume)} mm; give the build volume of the machine (--build-volume)"
        )
    shape, count = grid_shape(high - low, sizes)
    if count > max_voxels:
        raise PartError(
            f"{name}: a pitch of {size_text(sizes)} mm gives a grid of {count:,.15g} voxels, over "
            f"the limit of {max_voxels:,}; use a coarser pitch"
        )
    nx, ny, nz = (int(n) for n in shape)
    base = np.array([*((low + high) / 2)[:2], low[2]])
    origin = np.array([-nx * sizes[0] / 2, -ny * sizes[1] / 2, 0.0])
    winding = np.zeros((nx, ny, nz), dtype=np.int64)
    heights = base[2] + (np.arange(nz) + 0.5) * sizes[2]
    rows = np.searchsorted(sliced.tops, heights - 1e-9 * sizes[2])
    for row, layer in enumerate(rows.tolist()):
        contours = sliced.contours[layer] if layer < len(sliced.tops) else []
        winding[:, :, row] = winding_numbers(
            [points - base[:2] for points in contours], (nx, ny), sizes[:2], origin[:2]
        )
    mask = winding > 0
    if not mask.any():
        raise PartError(
            f"{name}: no voxel centre lies inside at a pitch of {size_text(sizes)} mm; use a pitch "
            f"below its wall thickness"
        )
    # Overlaps count as often in both volumes.
    share = float(winding.sum() * sizes.prod()) / sliced.volume if sliced.volume > 0 else 1.0
    if abs(share - 1) > _TOLERANCE:
        text = f"{name}: its voxels hold {100 * share:.0f} % of its volume; use a finer pitch"
        warnings.warn(text, PartWarning, stacklevel=2)
    bottom = int(mask.any(axis=(0, 1)).argmax())
    motion = RigidMotion(np.eye(3), 0.0 - base - np.array([0.0, 0.0, bottom * sizes[2]]))
    x, y, z = origin.tolist()
    mesh = HexMesh.from_mask(mask[:, :, bottom:], spacing, (x, y, z), None, motion)
    return treat_islands(mesh, islands, name)


def winding_numbers(
    contours: list[NDArray[np.float64]],
    shape: tuple[int, int],
    sizes: NDArray[np.float64],
    origin: NDArray[np.float64],
) -> NDArray[np.int64]:
    """Winding number of contours about the centres of a grid's squares, [nx, ny].

    Args:
        contours: Points of closed polygons, [P, 2] each.
        shape: Number of squares along x and y.
        sizes: Edge lengths of a square, [2].
        origin: Lower corner of the grid, [2].
    """
    nx, ny = shape
    crossings = np.zeros((nx + 1, ny), dtype=np.int64)
    first = origin + sizes / 2
    for points in contours:
        start, end = points, np.roll(points, -1, axis=0)
        # An edge crosses the line of centres j if one end is below it, and the other not.
        rows = np.ceil((np.stack([start[:, 1], end[:, 1]]) - first[1]) / sizes[1]).clip(0, ny)
        low, high = np.sort(rows.astype(np.int64), axis=0)
        edge = np.repeat(np.arange(len(points)), high - low)
        j = np.arange(len(edge)) - np.repeat(np.cumsum(high - low) - high, high - low)
        rise = end[edge, 1] - start[edge, 1]
        share = (first[1] + j * sizes[1] - start[edge, 1]) / rise
        x = start[edge, 0] + share * (end[edge, 0] - start[edge, 0])
        i = np.ceil((x - first[0]) / sizes[0]).clip(0, nx).astype(np.int64)
        np.add.at(crossings, (i, j), np.where(rise > 0, -1, 1))
    return crossings.cumsum(axis=0)[:nx]
