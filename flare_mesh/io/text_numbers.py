"""Blocks of numbers in text files that are not trusted."""

import mmap

import numpy as np
from numpy.typing import NDArray

NO_END = "the file ends within or right after a word; if it is whole, append a line break"
"""Why the last word of a text may be cut off."""


class TextNumbers:
    """Numbers in a text, separated by white space.

    Args:
        content: The text, of which only blocks of numbers are parsed.
    """

    def __init__(self, content: mmap.mmap | bytes) -> None:
        self._content = content
        self._starts: NDArray[np.int64] | None = None

    def read(self, at: int, count: int, dtype: np.dtype) -> tuple[NDArray, int, int]:
        """Read ``count`` numbers; the next words are counted before memory is allocated.

        Args:
            at: Offset of the first number, or of white space before it.
            count: Number of numbers.
            dtype: Type of the values.

        Returns:
            The values, the offset of the last one, and the offset of the word behind it.

        Raises:
            ValueError: If there are fewer words, one of them is no number of this type, or no
                white space follows the last one, so that it may be cut off.
        """
        if self._starts is None:
            space = np.frombuffer(self._content, np.uint8) <= ord(" ")
            first = [0] if len(space) and not space[0] else []
            later = np.flatnonzero(space[:-1] & ~space[1:]) + 1
            self._starts = np.concatenate([np.array(first, np.int64), later])
        starts = self._starts
        first = int(np.searchsorted(starts, at))
        has = len(starts) - first
        if count > has:
            raise ValueError(f"expected {count:,} values (got {has:,}); the file is truncated")
        if not count:
            return np.empty(0, dtype), at, at
        end = int(starts[first + count]) if count < has else len(self._content)
        if count == has and not self._content[-1:].isspace():
            raise ValueError(NO_END)
        is_float = dtype.kind == "f"
        wide = dtype if is_float or dtype == np.dtype("u8") else np.dtype("i8")
        try:
            # The number behind the last one makes NumPy read the last one to its end.
            text = self._content[int(starts[first]) : end] + b" 0"
            values = np.fromstring(text, wide, count + 1, sep=" ")[:-1]
        except ValueError:
            values = np.empty(0)
        if len(values) != count:
            kind = "numbers" if is_float else "integers"
            raise ValueError(f"expected {count:,} {kind} (got something else among them)")
        if wide != dtype:
            limits = np.iinfo(dtype)
            if not (limits.min <= values.min() and values.max() <= limits.max):
                raise ValueError(f"expected integers from {limits.min} to {limits.max}")
        return values.astype(dtype, copy=False), int(starts[first + count - 1]), end
