"""Block diagonal form of a brick's stiffness, from its mirror symmetries."""

import numpy as np
from numpy.typing import NDArray

from lpbf.core.element import NODES

# The stiffness of a box of orthotropic material does not change under mirroring in x, y or z. The
# Walsh modes of a component's eight nodal values are products of signs of the nodes' coordinates,
# hence even or odd in each direction, and only modes of equal parity in all components couple.

LEXICOGRAPHIC = np.argsort(((NODES + 1) / 2).astype(np.int64) @ [1, 2, 4])
"""VTK's numbers of the eight nodes in lexicographic order: x varies fastest, then y, then z."""


def to_lexicographic(stiffness: NDArray[np.float64]) -> NDArray[np.float64]:
    """Reorder the nodes of a stiffness [24, 24] from VTK's to the lexicographic order."""
    dofs = (3 * LEXICOGRAPHIC[:, None] + np.arange(3)).ravel()
    return stiffness[np.ix_(dofs, dofs)]


def walsh_matrix() -> NDArray[np.float64]:
    """Signs [8, 8]: row m is the Walsh mode of parity bits m at the nodes in lexicographic order.

    Bit 1 of m makes the mode odd in x, bit 2 in y, bit 4 in z.
    """
    bits = np.arange(8)
    return np.array([[(-1.0) ** (m & ~n).bit_count() for n in bits] for m in bits.tolist()])


def mode_blocks(stiffness: NDArray[np.float64]) -> NDArray[np.float64]:
    """Blocks [8, 3, 3] of a stiffness [24, 24] in VTK's order, such that

        f = W^T (blocks (W u))

    for nodal values in lexicographic order and W of :func:`walsh_matrix`. Block m couples mode
    m ^ 1 of x with m ^ 2 of y and m ^ 4 of z.

    Raises:
        ValueError: If the stiffness lacks the mirror symmetries.
    """
    signs = walsh_matrix()
    full = to_lexicographic(stiffness).reshape(8, 3, 8, 3)
    modes = np.einsum("mi,icjd,nj->mcnd", signs, full, signs) / 64
    blocks = np.empty((8, 3, 3))
    coupled = np.zeros_like(modes, dtype=bool)
    for m in range(8):
        for c in range(3):
            for d in range(3):
                blocks[m, c, d] = modes[m ^ (1 << c), c, m ^ (1 << d), d]
                coupled[m ^ (1 << c), c, m ^ (1 << d), d] = True
    if np.abs(modes[~coupled]).max() > 1e-12 * np.abs(modes).max():
        raise ValueError(
            "expected the stiffness of a box of orthotropic material with axes x, y, z "
            "(got one that couples even and odd modes)"
        )
    return blocks
