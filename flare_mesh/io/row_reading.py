"""Rows of arrays that do not fit into memory."""

import mmap
from typing import Any

import h5py
import numpy as np
from numpy.typing import ArrayLike, NDArray

from flare_mesh.io.arrays import MAX_BYTES, check_size, dataset_label
from flare_mesh.io.hdf5_rows import read_hdf5_rows
from flare_mesh.io.record_gather import gather_records


def read_rows(
    array: NDArray[Any] | h5py.Dataset, rows: ArrayLike, *, max_bytes: int = MAX_BYTES
) -> NDArray[Any]:
    """Read the rows ``array[rows]`` of an array on the disk, and little else.

    - Memory-mapped npy files and HDF5 data sets without filters: the pages that hold a row, or all
      pages between them if that is faster, see
      :func:`~flare_mesh.io.record_gather.gather_records`.
    - HDF5 data sets that are compressed, in a file object, or of a type that NumPy does not have:
      the chunks that hold a row, one at a time. h5py's indexing by a list reads the same chunks,
      but takes several times as long for the rows.

    Args:
        array: In memory, memory-mapped (:func:`~flare_mesh.io.arrays.open_npy`), or an HDF5 data
            set (:func:`~flare_mesh.io.arrays.hdf5_dataset`).
        rows: Row numbers from 0 to N - 1, in any order; they may repeat.
        max_bytes: Limit of the bytes that the rows, and one chunk, may declare.

    Shapes:
        ``array`` [N, ...], ``rows`` [n], result [n, ...] in memory, of the type of the array.

    Raises:
        ValueError: If a row number is out of range, the array is a scalar, it declares more than
            ``max_bytes``, or the stored values are damaged.
    """
    place, shape = describe_rows(array)
    wanted = _check(place, rows, shape[0])
    check_size(place, (len(wanted), *shape[1:]), array.dtype, max_bytes)
    if (wanted[1:] <= wanted[:-1]).any():
        ascending, places = np.unique(wanted, return_inverse=True)
        return read_rows(array, ascending, max_bytes=max_bytes)[places]
    if isinstance(array, h5py.Dataset):
        return read_hdf5_rows(array, wanted, max_bytes=max_bytes)
    return _read_array(np.asarray(array), wanted)


def describe_rows(array: NDArray[Any] | h5py.Dataset) -> tuple[str, tuple[int, ...]]:
    """Name for messages, and shape [N, ...], of an array.

    Raises:
        ValueError: If it has no rows.
    """
    if isinstance(array, h5py.Dataset):
        place = dataset_label(array)
    else:
        place = str(getattr(array, "filename", None) or "array")
    if not array.shape:  # None for an HDF5 data set that is null
        raise ValueError(f"{place}: expected an array of rows (got shape {array.shape})")
    return place, array.shape


def _check(place: str, rows: ArrayLike, count: int) -> NDArray[np.int64]:
    wanted = np.asarray(rows)
    if wanted.ndim != 1 or (wanted.size and wanted.dtype.kind not in "iu"):
        got = f"{wanted.dtype} of shape {list(wanted.shape)}"
        raise ValueError(f"{place}: expected rows as whole numbers of shape [n] (got {got})")
    if wanted.size and (wanted.min() < 0 or wanted.max() >= count):
        got = f"{wanted.min():,} to {wanted.max():,}"
        raise ValueError(f"{place}: expected rows from 0 to {count - 1:,} (got {got})")
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
        records = gather_records(mapping, begin + rows * array.strides[0], array[0].nbytes)
        return records.view(array.dtype).reshape(out.shape)
    for place in np.ndindex(array.shape[1:]):  # in Fortran order a row is not contiguous
        first = begin + sum(i * step for i, step in zip(place, array.strides[1:], strict=True))
        records = gather_records(mapping, first + rows * array.strides[0], array.dtype.itemsize)
        out[(slice(None), *place)] = records.view(array.dtype)
    return out
