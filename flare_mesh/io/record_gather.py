"""Records gathered out of memory-mapped files, page by page."""

import mmap

import numpy as np
from numpy.typing import NDArray

_PAGE = mmap.PAGESIZE
_FEW = 8
"""One page in so many is asked for singly."""
_BATCH = 1 << 16
"""Records whose pages are asked for at once: 256 MB of the system's cache, if all are apart."""


def gather_records(
    mapping: mmap.mmap, addresses: NDArray[np.int64], width: int
) -> NDArray[np.void]:
    """Records of ``width`` bytes that begin at ``addresses`` of a memory-mapped file.

    When a page is touched, the system waits for it and for some 128 kB around it: 16,384 random
    rows of a gigabyte would read nearly all of it. Here the pages that hold a record are asked for
    before they are needed, many at once, and no others. If more than one page in eight holds one,
    the system is left to its way, which then is faster: a disk reads pages in a row so much faster
    than single ones.

    Args:
        mapping: The file.
        addresses: Bytes from the beginning of the file, [n], fastest if they ascend.
        width: Bytes of a record.

    Raises:
        ValueError: If a record does not lie in the file.
    """
    out = np.empty(len(addresses), f"V{width}")
    if not len(addresses):
        return out
    if addresses.min() < 0 or addresses.max() + width > len(mapping):
        raise ValueError(f"records lie outside of a file of {len(mapping):,} bytes")
    # Every byte of the file begins a record: they overlap, and need not be aligned.
    records = np.ndarray((len(mapping) - width + 1,), out.dtype, mapping, 0, (1,))
    for start in range(0, len(addresses), _BATCH):
        part = addresses[start : start + _BATCH]
        first, last = _page_runs(part, width)
        few = _FEW * (last - first).sum() <= last[-1] - first[0]
        if few and hasattr(mapping, "madvise"):  # Windows has none
            mapping.madvise(mmap.MADV_RANDOM)
            for run in zip(
                (first * _PAGE).tolist(), ((last - first) * _PAGE).tolist(), strict=True
            ):
                mapping.madvise(mmap.MADV_WILLNEED, *run)
            out[start : start + _BATCH] = records[part]
            mapping.madvise(mmap.MADV_NORMAL)
        else:
            out[start : start + _BATCH] = records[part]
    return out


def _page_runs(
    addresses: NDArray[np.int64], width: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Numbers of the pages that hold the records, as runs without a gap: first, and last + 1."""
    ascending = np.sort(addresses)
    first, last = ascending // _PAGE, (ascending + width - 1) // _PAGE + 1
    gaps = np.flatnonzero(first[1:] > last[:-1])
    return first[np.append(0, gaps + 1)], last[np.append(gaps, len(last) - 1)]
