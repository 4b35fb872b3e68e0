"""Rows of several widths in one flat array."""

from typing import Any

from numpy.typing import NDArray


def run_length(values: NDArray[Any], stride: int, columns: slice, limit: int) -> int:
    """Number of rows, up to ``limit``, with the same numbers in ``columns`` as the first.

    Args:
        values: Flat array that begins with rows of ``stride`` numbers.
        stride: Width of the rows.
        columns: Columns to compare.
        limit: Number of rows at most, which must be in ``values``.
    """
    length, window = min(1, limit), 64
    while length < limit:
        stop = min(limit, length + window)
        rows = values[length * stride : stop * stride].reshape(-1, stride)[:, columns]
        same = (rows == values[columns]).all(axis=1)
        if not same.all():
            return length + int(same.argmin())
        length, window = stop, 4 * window
    return length
