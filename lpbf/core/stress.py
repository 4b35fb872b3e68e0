"""Invariants of a stress tensor."""

import numpy as np
from numpy.typing import NDArray

# Position of each entry of the 3 x 3 matrix in the order xx, yy, zz, xy, yz, xz.
_MATRIX = np.array([[0, 3, 5], [3, 1, 4], [5, 4, 2]])


def von_mises(stress: NDArray[np.float64]) -> NDArray[np.float64]:
    """Von Mises stress [...] of stresses [..., 6] in the order xx, yy, zz, xy, yz, xz."""
    xx, yy, zz, xy, yz, xz = np.moveaxis(stress, -1, 0)
    normal = (xx - yy) ** 2 + (yy - zz) ** 2 + (zz - xx) ** 2
    return np.sqrt(normal / 2 + 3 * (xy**2 + yz**2 + xz**2))


def principal_stress(stress: NDArray[np.float64]) -> NDArray[np.float64]:
    """Principal stresses [..., 3] of stresses [..., 6], in descending order."""
    ascending = np.linalg.eigvalsh(stress[..., _MATRIX])
    return np.flip(ascending, axis=-1).astype(np.float64)
