"""Voxel edge of parts where none is given."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import trimesh

VOXELS_ACROSS = 40
"""Voxels in the largest extent, at least."""
_ACROSS_WALL = 2
_MOST_COLUMNS = 90_000


def pitch_across(extent: float) -> float:
    """A fortieth of an extent, with two significant digits."""
    return _rounded(extent / VOXELS_ACROSS)


def default_pitch(parts: "Sequence[trimesh.Trimesh]") -> float:
    """Edge of the voxels in the plane for parts on one plate, mm, with two significant digits.

    It is half of the thinnest mean wall 2 V / A, but at most a fortieth of the largest extent, and
    so large that the bounding box of each part has at most 90,000 voxels in the plane.
    """
    pitch = max(float(max(part.extents)) for part in parts) / VOXELS_ACROSS
    for part in parts:
        if part.is_watertight and part.area > 0:
            pitch = min(pitch, 2 * abs(float(part.volume)) / float(part.area) / _ACROSS_WALL)
    smallest = max(math.sqrt(float(np.prod(part.extents[:2])) / _MOST_COLUMNS) for part in parts)
    return _rounded(max(pitch, smallest))


def _rounded(pitch: float) -> float:
    return round(pitch, 1 - math.floor(math.log10(pitch)))
