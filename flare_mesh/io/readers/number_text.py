"""Numbers in text files."""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray


def read_numbers(text: bytes, what: str, dtype: DTypeLike = float) -> NDArray[Any]:
    """Numbers in a text, separated by white space.

    Args:
        text: The text.
        what: What holds the numbers, for the message.
        dtype: ``float`` or ``np.int64``.

    Raises:
        ValueError: If something in the text is not a number.
    """
    text = text.strip()
    if not text:  # of which NumPy makes a number
        return np.empty(0, dtype)
    try:
        return np.fromstring(text, dtype, sep=" ")
    except ValueError:
        words = "integers" if np.dtype(dtype).kind == "i" else "numbers"
        raise ValueError(f"expected {words} in {what} (got {_first_word(text, dtype)!r})") from None


def _first_word(text: bytes, dtype: DTypeLike) -> str:
    """The first word that is not a number."""
    words = text.split()
    low, high = 0, len(words) - 1
    while low < high:
        middle = (low + high) // 2
        try:
            np.fromstring(b" ".join(words[low : middle + 1]), dtype, sep=" ")
            low = middle + 1
        except ValueError:
            high = middle
    return words[low][:40].decode(errors="replace")
