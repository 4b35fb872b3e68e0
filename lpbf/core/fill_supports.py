"""Voxels of support bodies on the grid of their part."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lpbf.core.errors import PartError, PartWarning
from lpbf.core.fill import fill
from lpbf.core.part import load_part, part_name, unit_if_none

if TYPE_CHECKING:
    import trimesh

# Accepted difference of the volumes of a body and of its voxels.
_TOLERANCE = 0.2


def fill_supports(
    supports: "Sequence[trimesh.Trimesh | str | Path]",
    base: NDArray[np.float64],
    bounds: NDArray[np.float64],
    shape: tuple[int, int, int],
    sizes: NDArray[np.float64],
    origin: NDArray[np.float64],
    unit: str | None = None,
) -> NDArray[np.bool_]:
    """Voxels whose centres lie in one of several support bodies, bool [nx, ny, nz].

    Args:
        supports: Surfaces in mm, or the paths of their files, in the coordinates of the part's
            file.
        base: Point of these coordinates that is the grid's zero, [3].
        bounds: Lower and upper corner of the part in these coordinates, [2, 3].
        shape: Number of voxels along each axis.
        sizes: Edge lengths of a voxel, [3].
        origin: Lower corner of the grid, [3].
        unit: Unit of the files that have none of their own; None for mm.

    Raises:
        FileNotFoundError: If a file does not exist.
        PartError: If a body is unusable, outside the part's box, or has no voxels.
    """
    mask = np.zeros(shape, dtype=bool)
    for support in supports:
        with warnings.catch_warnings():
            # Several bodies in a file are usual.
            warnings.filterwarnings("ignore", r".* has \d+ bodies;", PartWarning)
            surface = load_part(support, unit=unit_if_none(support, unit))
        name = part_name(surface)
        low, high = np.asarray(surface.bounds)
        over = np.maximum(bounds[0] - low, high - bounds[1]) - sizes / 2
        if over.max() > 0:
            raise PartError(
                f"{name}: expected supports within the part's box of {_box(*bounds)} mm (got "
                f"{_box(low, high)} mm); export part and supports in the same coordinates"
            )
        triangles = surface.triangles.view(np.ndarray) - base
        own = fill(triangles, shape, sizes, origin, surface.is_watertight).mask
        volume = float(own.sum() * sizes.prod())
        if not own.any():
            raise PartError(
                f"{name}: no voxel centre lies inside; give supports as closed bodies around their "
                f"walls, or use a finer pitch"
            )
        if surface.is_watertight and abs(volume / abs(surface.volume) - 1) > _TOLERANCE:
            text = (
                f"{name}: its voxels hold {100 * volume / abs(surface.volume):.0f} % of its volume;"
                f" give supports as closed bodies around their walls, or use a finer pitch"
            )
            warnings.warn(text, PartWarning, stacklevel=3)
        mask |= own
    return mask


def _box(low: NDArray[np.float64], high: NDArray[np.float64]) -> str:
    first, last = (", ".join(f"{value:.4g}" for value in corner) for corner in (low, high))
    return f"({first}) to ({last})"
