"""Inherent strain of a simulated layer."""

import numpy as np
from numpy.typing import NDArray


def mean_strain(
    inherent_strain: tuple[float, float, float], angles: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Mean strain of powder layers [6] in the order xx, yy, zz, xy, yz, xz.

    Args:
        inherent_strain: Along the scan vectors, across them, and in the build direction.
        angles: Angle from x to the scan vectors of each powder layer, [P], radians.
    """
    exx, eyy, ezz = inherent_strain
    c, s = np.cos(angles), np.sin(angles)
    in_plane = [c * c * exx + s * s * eyy, s * s * exx + c * c * eyy, 2 * c * s * (exx - eyy)]
    xx, yy, xy = np.mean(in_plane, axis=1)
    return np.array([xx, yy, ezz, xy, 0.0, 0.0])
