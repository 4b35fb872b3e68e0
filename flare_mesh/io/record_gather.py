"""Gathering of records from memory-mapped files."""

import mmap

import numpy as np
from numpy.typing import NDArray

_PAGE = mmap.PAGESIZE
_SPARSE = 8
"""Single pages are requested if at most one page in so many holds a record."""
_BATCH = 1 << 16
"""Records whose pages are requested together: at most 256 MB of the page cache."""


def gather_records(
    mapping: mmap.mmap, addresses: NDArray[np.int64], width: int
) -> NDArray[np.void]:
    """Gather records of ``width`` bytes from a memory-mapped file.

    On a page fault the system reads some 128 kB around the page: 16,384 random rows of a gigabyte
    would read nearly all of it. If at most one page in eight holds a record, these pages alone are
    requested in advance, many at a time. Otherwise the system's read-ahead is faster, since a disk
    reads consecutive pages much faster than single ones.

    Args:
        mapping: The file.
        addresses: Byte offsets of the records in the file, [n]; fastest in ascending order.
        width: Bytes of a record.

    Raises:
        ValueError: If a record is outside the file.
    """
    out = np.empty(len(addresses), f"V{width}")
    if not len(addresses):
        return out
    if addresses.min() < 0 or addresses.max() + width > len(mapping):
        raise ValueError(f"records are outside a file of {len(mapping):,} bytes")
    # A view in which every byte of the file begins a record; the records overlap.
    records = np.ndarray((len(mapping) - width + 1,), out.dtype, mapping, 0, (1,))
    for start in range(0, len(addresses), _BATCH):
        part = addresses[start : start + _BATCH]
        first, last = _page_runs(part, width)
        sparse = _SPARSE * (last - first).sum() <= last[-1] - first[0]
        advise = sparse and hasattr(mapping, "madvise")  # Windows has none
        if advise:
            mapping.madvise(mmap.MADV_RANDOM)
            for begin, size in (np.stack([first, last - first], axis=1) * _PAGE).tolist():
                mapping.madvise(mmap.MADV_WILLNEED, begin, size)
        out[start : start + _BATCH] = records[part]
        if advise:
            mapping.madvise(mmap.MADV_NORMAL)
    return out


def _page_runs(
    addresses: NDArray[np.int64], width: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Contiguous runs of the pages that hold the records: first page, and last page + 1."""
    ascending = np.sort(addresses)
    first, last = ascending // _PAGE, (ascending + width - 1) // _PAGE + 1
    gaps = np.flatnonzero(first[1:] > last[:-1])
    return first[np.append(0, gaps + 1)], last[np.append(gaps, len(last) - 1)]
