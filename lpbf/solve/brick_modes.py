"""The brick's stiffness in the basis in which it falls apart into eight 3 x 3 blocks."""

import numpy as np
from numpy.typing import NDArray

from lpbf.core.element import NODES

# A box with orthotropic material keeps its stiffness when it is mirrored in x, y or z. So does the
# Walsh basis of a component's eight nodal values, products of the signs of the node's coordinates:
# it is even or odd in each direction, and only modes of equal parity in all components couple.
CORNER = np.argsort(((NODES + 1) / 2).astype(np.int64) @ [1, 2, 4])  # bits -> VTK's node


def walsh() -> NDArray[np.float64]:
    """Signs [8, 8]: row m is the mode of parity bits m at the nodes, whose corner bits are n."""
    bits = np.arange(8)
    return np.array([[(-1.0) ** (m & ~n).bit_count() for n in bits] for m in bits.tolist()])


def mode_blocks(stiffness: NDArray[np.float64]) -> NDArray[np.float64]:
    """The blocks [8, 3, 3] of a stiffness [24, 24], such that

        f = W^T (blocks (W u))

    for nodal values in the order of corner bits (x = 1, y = 2, z = 4) and W from :func:`walsh`.
    Block m couples mode m ^ 1 of x with m ^ 2 of y and m ^ 4 of z.

    Raises:
        ValueError: If the stiffness is not that of a mirror-symmetric element.
    """
    signs = walsh()
    full = stiffness.reshape(8, 3, 8, 3)[CORNER][:, :, CORNER]
    modes = np.einsum("mi,icjd,nj->mcnd", signs, full, signs) / 64
    blocks = np.empty((8, 3, 3))
    picked = np.zeros_like(modes, dtype=bool)
    for m in range(8):
        for c in range(3):
            for d in range(3):
                blocks[m, c, d] = modes[m ^ (1 << c), c, m ^ (1 << d), d]
                picked[m ^ (1 << c), c, m ^ (1 << d), d] = True
    if np.abs(modes[~picked]).max() > 1e-12 * np.abs(modes).max():
        raise ValueError("expected the stiffness of a box with orthotropic material")
    return blocks
