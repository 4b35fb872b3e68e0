"""Random rows of arrays that do not fit into memory."""

import math
from typing import Any

import h5py
import numpy as np
import torch
from numpy.typing import NDArray

from flare_mesh.io.row_reading import describe_rows


def sample_rows(
    array: NDArray[Any] | h5py.Dataset,
    num: int,
    *,
    method: str = "uniform",
    num_blocks: int = 32,
    generator: torch.Generator | None = None,
) -> NDArray[np.int64]:
    """Draw ``num`` different row numbers of an array, in ascending order, in O(num) memory.

    By either method every row is drawn with the same probability num / N, so means over the drawn
    rows have no bias:

    - ``"uniform"``: all sets of rows have the same probability.
    - ``"blocks"``: cluster sampling, which reads less. It suits compressed HDF5, where uniform rows
      would touch every chunk, and slow disks. For a chunked data set, the blocks are ``num_blocks``
      chunks, or as many as have ``num`` rows, and rows are drawn from them uniformly. For another
      array, the blocks are runs of ``num / num_blocks`` rows.

    If neighbouring rows are correlated, as in a mesh sorted by space, the variance of a mean over
    rows from blocks is about ``1 + (num / num_blocks - 1) r`` times that over uniform rows, with
    the correlation r of two rows of a block (Kish, Survey Sampling, 1965). If the rows are in
    random order, r = 0.

    Args:
        array: The array; its values are not read.
        num: Number of rows to draw, at most N.
        method: ``"uniform"`` or ``"blocks"``.
        num_blocks: Number of blocks; one more if the first one is only partly used.
        generator: Random generator; None for torch's default, which loaders seed in each worker.

    Shapes:
        ``array`` [N, ...], result [num].

    Raises:
        ValueError: If an option is unknown or there are fewer than ``num`` rows.
    """
    place, shape = describe_rows(array)
    if not 0 <= num <= shape[0]:
        raise ValueError(f"{place}: expected 0 to {shape[0]:,} rows to draw (got {num:,})")
    if method not in ("uniform", "blocks"):
        raise ValueError(f"expected method 'uniform' or 'blocks' (got '{method}')")
    if num_blocks < 1:
        raise ValueError(f"expected num_blocks of at least 1 (got {num_blocks})")
    if method == "uniform" or not num:
        return _uniform(shape[0], num, generator)
    chunks = array.chunks if isinstance(array, h5py.Dataset) else None
    if chunks:
        window = min(max(num, num_blocks * chunks[0]), shape[0])
        return _from_blocks(shape[0], chunks[0], window, num, generator)
    return _from_blocks(shape[0], max(1, math.ceil(num / num_blocks)), num, num, generator)


def _draw(count: int, num: int, generator: torch.Generator | None) -> NDArray[np.int64]:
    """Independent numbers below ``count``."""
    # For a wide range, torch.randint draws some numbers up to 5% more often than others.
    wide = torch.randint(1 << 62, (num,), generator=generator, dtype=torch.int64)
    return (wide % count).numpy()


def _uniform(count: int, num: int, generator: torch.Generator | None) -> NDArray[np.int64]:
    """Different numbers below ``count``, ascending."""
    if 2 * num > count:
        chosen = np.ones(count, dtype=bool)
        chosen[_uniform(count, count - num, generator)] = False
        return np.flatnonzero(chosen)
    # All numbers are treated alike, so all sets have the same probability.
    drawn = np.empty(0, dtype=np.int64)
    while len(drawn) < num:
        drawn = np.union1d(drawn, _draw(count, num - len(drawn), generator))
    return drawn


def _from_blocks(
    count: int, size: int, window: int, num: int, generator: torch.Generator | None
) -> NDArray[np.int64]:
    """Draw rows from a window over the blocks of ``size`` rows, concatenated in random order.

    The window starts at a random row and wraps around, so each row is in it with the same
    probability, also a row of a last, shorter block.
    """
    begin = int(_draw(count, 1, generator)[0])
    first, others = begin // size, math.ceil(count / size) - 1
    blocks = _uniform(others, min(others, math.ceil(window / size) + 1), generator)
    blocks = blocks[torch.randperm(len(blocks), generator=generator).numpy()]
    blocks += blocks >= first
    # The rows of the first block before the start come last.
    starts = np.concatenate([[begin], blocks * size, [first * size]])
    stops = np.minimum(np.concatenate([[first + 1], blocks + 1, [count]]) * size, count)
    stops[-1] = begin
    ends = np.cumsum(stops - starts)
    chosen = _uniform(window, num, generator)
    block = np.searchsorted(ends, chosen, side="right")
    return np.sort(stops[block] - (ends[block] - chosen))
