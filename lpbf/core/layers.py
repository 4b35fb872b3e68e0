"""Height of simulated layers in rows of voxels."""

import numpy as np

from lpbf.core.checks import check_edges

LAYER_HEIGHT = 0.4
"""Height of a simulated layer where none is given, mm."""

_ROUNDING = 1e-6


def voxel_size(
    pitch: float | tuple[float, float, float], layer_height: float | None = None
) -> tuple[float, float, float]:
    """Edges of voxels whose rows make up whole layers, mm.

    One number is the edge in the plane of the plate, and about the height: the layer height divided
    by a whole number of rows. Three edges are taken as they are. With equal layers the result
    hardly depends on the pitch; docs/lpbf.md has figures.

    Args:
        pitch: Voxel edge in mm, one or (x, y, z).
        layer_height: Height of a simulated layer, mm; None takes :data:`LAYER_HEIGHT`.

    Raises:
        ValueError: If an edge is not positive.
    """
    x, y, z = check_edges("the pitch", pitch)
    if np.ndim(pitch):
        return x, y, z
    height = LAYER_HEIGHT if layer_height is None else layer_height
    return x, y, height / max(1, round(height / z))


def rows_per_layer(layer_height: float | None, voxel_height: float) -> int:
    """Rows of voxels in a layer.

    Without a height it is the number that is nearest to :data:`LAYER_HEIGHT`, at least one.

    Raises:
        ValueError: If the layer height is not a multiple of the voxel height.
    """
    if layer_height is None:
        return max(1, round(LAYER_HEIGHT / voxel_height))
    count = round(layer_height / voxel_height)
    if count < 1 or abs(count * voxel_height - layer_height) > _ROUNDING * layer_height:
        raise ValueError(
            f"Process: layer_height = {layer_height} mm is not a multiple of the voxel "
            f"height of {voxel_height} mm; change the pitch or the layer height"
        )
    return count
