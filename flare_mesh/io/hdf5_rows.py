"""Rows of HDF5 data sets."""

import math
import mmap
from itertools import pairwise, product
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from flare_mesh.io.arrays import check_ratio, check_size, dataset_label
from flare_mesh.io.record_gather import gather_records

_SLAB = 1 << 20
"""Bytes read at a time from a data set that has no chunks and cannot be memory-mapped."""


def read_hdf5_rows(
    dataset: h5py.Dataset, rows: NDArray[np.int64], *, max_bytes: int
) -> NDArray[Any]:
    """Read rows of a data set: by pages of the file if it has no filters, otherwise by chunks.

    Args:
        dataset: Data set [N, ...].
        rows: Row numbers [n] below N, strictly ascending.
        max_bytes: Limit of the bytes that one chunk may declare.

    Raises:
        ValueError: If a chunk declares more than ``max_bytes``, a chunk or the rows are many times
            as large as the file, or the stored values are damaged.
    """
    width = math.prod(dataset.shape[1:]) * dataset.dtype.itemsize
    label, stored = dataset_label(dataset), dataset.file.id.get_filesize()
    check_ratio(label, len(rows) * width, stored)
    out = np.empty((len(rows), *dataset.shape[1:]), dataset.dtype)
    if not out.size:
        return out
    chunks = dataset.chunks or (max(1, _SLAB // width), *dataset.shape[1:])
    if dataset.chunks:
        check_size(label, chunks, dataset.dtype, max_bytes)
        check_ratio(label, math.prod(chunks) * dataset.dtype.itemsize, stored)
    try:
        mapping = _map(dataset)
        # Behind a user block, the offset of a data set without stored values is wrong.
        offset = dataset.id.get_offset() if dataset.id.get_storage_size() else None
        if mapping is not None and offset is not None:
            records = gather_records(mapping, offset + rows * width, width)
            return records.view(out.dtype).reshape(out.shape)
        blocks, block = np.unique(rows // chunks[0], return_inverse=True)
        addresses = None if mapping is None else _chunk_addresses(dataset, len(blocks))
        starts = (range(0, n, c) for n, c in zip(dataset.shape[1:], chunks[1:], strict=True))
        for corner in product(*starts):
            sides = tuple(slice(a, a + c) for a, c in zip(corner, chunks[1:], strict=True))
            target = out[(slice(None), *sides)]
            if mapping is None or addresses is None:
                _read_chunks(dataset, chunks[0], sides, rows, target)
            else:
                found = [addresses.get((n, *corner), -1) for n in (blocks * chunks[0]).tolist()]
                _gather_chunks(dataset, mapping, chunks, np.array(found)[block], rows, target)
    except (OSError, ValueError, KeyError, RuntimeError) as error:  # of h5py
        raise ValueError(f"{label}: damaged ({error})") from error
    return out


def _map(dataset: h5py.Dataset) -> mmap.mmap | None:
    """The file of a data set as a memory map, if it stores values as they are in memory."""
    file = dataset.file
    if (
        file.driver == "sec2"
        and file.mode == "r"  # no values wait in a buffer of HDF5
        and dataset.id.get_create_plist().get_nfilters() == 0
        and dataset.dtype.kind in "iuf"
        and dataset.id.get_type().equal(h5py.h5t.py_create(dataset.dtype))
    ):
        return mmap.mmap(file.id.get_vfd_handle(), 0, access=mmap.ACCESS_READ)
    return None


def _chunk_addresses(dataset: h5py.Dataset, blocks: int) -> dict[tuple[int, ...], int] | None:
    """Byte offset of each chunk in the file, by the index of the chunk's first element.

    None if HDF5 cannot list them, or if that takes longer than to read ``blocks`` chunks.
    """
    if (
        dataset.chunks is None
        or math.ceil(dataset.shape[0] / dataset.chunks[0]) > 16 * blocks
        or h5py.version.hdf5_version_tuple < (1, 14, 0)  # older ones list other offsets
        or dataset.file.userblock_size  # some versions leave it out of the addresses
    ):
        return None
    addresses = {}

    def note(chunk: h5py.h5d.StoreInfo) -> None:
        addresses[chunk.chunk_offset] = chunk.byte_offset

    # A query for a single chunk would iterate over all chunks as well.
    dataset.id.chunk_iter(note)
    return addresses


def _gather_chunks(
    dataset: h5py.Dataset,
    mapping: mmap.mmap,
    chunks: tuple[int, ...],
    addresses: NDArray[np.int64],
    rows: NDArray[np.int64],
    out: NDArray[Any],
) -> None:
    """Read rows from the chunk addresses [n], which are -1 for chunks that were not written."""
    stored = addresses >= 0
    width = math.prod(chunks[1:]) * dataset.dtype.itemsize
    records = gather_records(mapping, (addresses + rows % chunks[0] * width)[stored], width)
    # The last chunk of an axis may extend beyond it.
    inside = tuple(slice(n) for n in out.shape[1:])
    out[stored] = records.view(out.dtype).reshape(-1, *chunks[1:])[(slice(None), *inside)]
    if not stored.all():
        out[~stored] = dataset.fillvalue


def _read_chunks(
    dataset: h5py.Dataset,
    size: int,
    sides: tuple[slice, ...],
    rows: NDArray[np.int64],
    out: NDArray[Any],
) -> None:
    """Read rows in the columns ``sides``, one chunk of ``size`` rows at a time."""
    breaks = np.flatnonzero(np.diff(rows // size)) + 1
    for start, stop in pairwise([0, *breaks.tolist(), len(rows)]):
        inside = rows[start:stop]
        slab = dataset[(slice(int(inside[0]), int(inside[-1]) + 1), *sides)]
        out[start:stop] = slab[inside - inside[0]]
