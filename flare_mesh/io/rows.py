"""Chosen rows of arrays that do not fit into memory."""

import math
import mmap
from typing import Any

import h5py
import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from flare_mesh.io.arrays import MAX_BYTES, check_size
from flare_mesh.io.hdf5_rows import read_hdf5_rows
from flare_mesh.io.pages import gather


def read_rows(
    array: NDArray[Any] | h5py.Dataset, rows: ArrayLike, *, max_bytes: int = MAX_BYTES
) -> NDArray[Any]:
    """The rows ``array[rows]`` of an array on the disk, of which little else is read.

    - Of a memory-mapped npy file, and of an HDF5 data set that has no filters, the pages that hold
      a chosen row are read; or all between them if they are more than one in eight, see
      :func:`~flare_mesh.io.pages.gather`.
    - Of an HDF5 data set that is compressed, in a type of its own, or in a file object, the chunks
      that hold a chosen row are read, one at a time. h5py's indexing by a list reads as much, and
      spends several times as long on the rows themselves.

    Args:
        array: In memory, memory-mapped (:func:`~flare_mesh.io.arrays.open_npy`), or an HDF5 data
            set (:func:`~flare_mesh.io.arrays.hdf5_dataset`).
        rows: Row numbers from 0 to N - 1, in any order, repeated at will.
        max_bytes: Limit of what the rows, and one chunk, may declare.

    Shapes:
        ``array`` [N, ...], ``rows`` [n], result [n, ...] in memory and in the array's own type.

    Raises:
        ValueError: If a row is not there, the array has none, it declares more than ``max_bytes``,
            or what is stored is damaged.
    """
    place, shape = _describe(array)
    wanted = _check(place, rows, shape[0])
    check_size(place, (len(wanted), *shape[1:]), array.dtype, max_bytes)
    if (wanted[1:] <= wanted[:-1]).any():
        ascending, places = np.unique(wanted, return_inverse=True)
        return read_rows(array, ascending, max_bytes=max_bytes)[places]
    if isinstance(array, h5py.Dataset):
        return read_hdf5_rows(array, wanted, max_bytes=max_bytes)
    return _read_array(np.asarray(array), wanted)


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
    place, shape = _describe(array)
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


def _describe(array: NDArray[Any] | h5py.Dataset) -> tuple[str, tuple[int, ...]]:
    if isinstance(array, h5py.Dataset):
        place = f"{array.file.filename}, '{array.name}'"
    else:
        place = str(getattr(array, "filename", None) or "array")
    if not array.shape:  # None for an HDF5 data set that is null
        raise ValueError(f"{place}: expected an array of rows (got shape {array.shape})")
    return place, array.shape


def _check(place: str, rows: ArrayLike, count: int) -> NDArray[np.int64]:
    wanted = np.asarray(rows)
    if wanted.ndim != 1 or (wanted.size and wanted.dtype.kind not in "iu"):
        raise ValueError(
            f"{place}: expected rows as whole numbers of shape [n] (got {wanted.dtype} of shape "
            f"{list(wanted.shape)})"
        )
    if wanted.size and (wanted.min() < 0 or wanted.max() >= count):
        raise ValueError(
            f"{place}: expected rows from 0 to {count - 1:,} (got {wanted.min():,} to "
            f"{wanted.max():,})"
        )
    return wanted.astype(np.int64)


def _read_array(array: NDArray[Any], rows: NDArray[np.int64]) -> NDArray[Any]:
    mapping: Any = array
    while isinstance(mapping, np.ndarray):
        mapping = mapping.base
    if not array.size or not isinstance(mapping, mmap.mmap):
        return array[rows]
    begin = array.ctypes.data - np.frombuffer(mapping, np.uint8).ctypes.data
    out = np.empty((len(rows), *array.shape[1:]), array.dtype)
    if array[0].flags.c_contiguous:
        records = gather(mapping, begin + rows * array.strides[0], array[0].nbytes)
        return records.view(array.dtype).reshape(out.shape)
    for place in np.ndindex(array.shape[1:]):  # in Fortran's order a row lies in pieces
        first = begin + sum(i * step for i, step in zip(place, array.strides[1:], strict=True))
        records = gather(mapping, first + rows * array.strides[0], array.dtype.itemsize)
        out[(slice(None), *place)] = records.view(array.dtype)
    return out


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
