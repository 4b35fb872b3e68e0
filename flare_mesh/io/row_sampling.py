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
    """Draws ``num`` different rows of an array, in ascending order; the memory is of their order.

    Every row is drawn with the same probability, num / N, so that means over the drawn rows have
    no bias, by either method:

    - ``"uniform"``: all sets of rows alike.
    - ``"blocks"``: rows from a few blocks in random places, so that less is read. This is for
      compressed HDF5, where uniform rows would touch every chunk, and for slow disks. Of a chunked
      data set, the blocks are ``num_blocks`` chunks, or as many as have ``num`` rows, and the rows
      are drawn from them uniformly. Of another array, they are runs of ``num / num_blocks`` rows.

    Where rows that stand near each other are alike, as in a mesh sorted by space, the variance of
    a mean over rows from blocks is about ``1 + (num / num_blocks - 1) r`` times that over uniform
    rows, with the correlation r of two rows of a block (Kish, Survey Sampling, 1965). Where rows
    stand in random order, r = 0.

    Args:
        array: The array; none of it is read.
        num: Rows to draw, at most N.
        method: ``"uniform"`` or ``"blocks"``.
        num_blocks: Blocks that the rows come from; one more if the first is cut.
        generator: Source of the numbers; None for torch's own, which loaders seed in each worker.

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
    # torch.randint lets some numbers come up to 5% more often where the range is wide.
    wide = torch.randint(1 << 62, (num,), generator=generator, dtype=torch.int64)
    return (wide % count).numpy()


def _uniform(count: int, num: int, generator: torch.Generator | None) -> NDArray[np.int64]:
    """Different numbers below ``count``, ascending."""
    if 2 * num > count:
        kept = np.ones(count, dtype=bool)
        kept[_uniform(count, count - num, generator)] = False
        return np.flatnonzero(kept)
    # Nothing here tells one number from another, so that all sets are alike.
    drawn = np.empty(0, dtype=np.int64)
    while len(drawn) < num:
        more = _draw(count, num - len(drawn), generator)
        drawn = np.unique(np.concatenate([drawn, more]))
    return drawn


def _from_blocks(
    count: int, size: int, window: int, num: int, generator: torch.Generator | None
) -> NDArray[np.int64]:
    """Rows drawn from a window that lies on blocks of ``size`` rows laid out in random order.

    It begins at any row, and goes on at the beginning where the blocks end: so each row is in it
    with the same probability, also one of a last, shorter block.
    """
    begin = int(_draw(count, 1, generator)[0])
    first, others = begin // size, math.ceil(count / size) - 1
    blocks = _uniform(others, min(others, math.ceil(window / size) + 1), generator)
    blocks = blocks[torch.randperm(len(blocks), generator=generator).numpy()]
    blocks += blocks >= first
    # The rest of the first block comes when all others are used.
    starts = np.concatenate([[begin], blocks * size, [first * size]])
    stops = np.minimum(np.concatenate([[first + 1], blocks + 1, [count]]) * size, count)
    stops[-1] = begin
    ends = np.cumsum(stops - starts)
    chosen = _uniform(window, num, generator)
    block = np.searchsorted(ends, chosen, side="right")
    return np.sort(stops[block] - (ends[block] - chosen))
