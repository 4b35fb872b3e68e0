"""Rigid-body modes of a set of points."""

import numpy as np
from numpy.typing import NDArray


def rigid_body_modes(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Three translations and three rotations about the origin, at points [n, 3]: [n, 3, 6]."""
    x, y, z = points.T
    modes = np.zeros((len(points), 3, 6))
    modes[:, range(3), range(3)] = 1.0
    modes[:, 0, 3], modes[:, 1, 3] = -y, x
    modes[:, 1, 4], modes[:, 2, 4] = -z, y
    modes[:, 2, 5], modes[:, 0, 5] = -x, z
    return modes
