"""Range of the small-strain model."""

import warnings

import numpy as np

from lpbf.core.errors import PartWarning
from lpbf.core.result import Result

# Displacement over the largest extent of the part.
_LARGEST = 0.05


def check_range(result: Result, layer_height: float) -> None:
    """Warn of a part that distorts so much that small strains and rotations are a poor model.

    Args:
        result: The finished part.
        layer_height: Height of a simulated layer, mm.
    """
    reasons = []
    largest = float(np.linalg.norm(result.displacement, axis=1).max())
    extent = float(np.ptp(result.points, axis=0).max())
    if largest > _LARGEST * extent:
        reasons.append(f"a displacement of {largest:.3g} mm in a part of {extent:.4g} mm")
    clearance = result.recoater_clearance
    if clearance is not None and np.nanmax(clearance) > layer_height:
        layer = int(np.nanargmax(clearance))
        reasons.append(
            f"layer {layer} rises by {clearance[layer]:.3g} mm, more than its height of "
            f"{layer_height:.3g} mm, so that the recoater would hit it"
        )
    if reasons:
        text = (
            f"the small-strain model is out of its range: {'; '.join(reasons)}; support the "
            f"overhangs or rotate the part"
        )
        warnings.warn(text, PartWarning, stacklevel=4)
