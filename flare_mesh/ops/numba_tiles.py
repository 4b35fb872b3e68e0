"""Tiles of four nodes, for the compiled loops of the mixer."""

import math

import numpy as np

from flare_mesh.compiled.block_code import ROWS
from flare_mesh.compiled.jit import jit

BLOCK = 256  # nodes whose rows stay in the second-level cache during the loop over heads
ABSENT = -3e38  # score of the rows beyond the last node
LN2 = math.log(2.0)
_LINE = 64  # numbers, so that threads do not write into the same cache line


def scratch(padded: int, threads: int, dtype: np.dtype) -> np.ndarray:
    """Zeros for the scores, weights and sums of one tile with so many padded latents.

    Each thread has a row: arrays that compiled loops allocate themselves take a second to compile.
    """
    size = (2 * ROWS + 1) * padded + 5 * ROWS
    return np.zeros((threads, size + -size % _LINE), dtype)


@jit
def tile_rows(n, stop, stride, head):
    """Positions of a tile's rows; the last node again beyond the end."""
    last = stop - 1
    return (
        min(n, last) * stride + head,
        min(n + 1, last) * stride + head,
        min(n + 2, last) * stride + head,
        min(n + 3, last) * stride + head,
    )
