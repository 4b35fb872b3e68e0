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


_HEX = np.full(256, 255, np.uint8)
_HEX[list(b" \t\r\n")] = 254
for _digits in (b"0123456789abcdef", b"0123456789ABCDEF"):
    _HEX[list(_digits)] = range(16)


def read_hexadecimal(text: bytes, what: str) -> NDArray[np.int64]:
    """Hexadecimal integers without sign in a text, separated by white space.

    Raises:
        ValueError: If something else is in the text, or an integer has more than 15 digits.
    """
    digits = _HEX[np.frombuffer(text + b" ", np.uint8)]
    inside = digits < 16
    edges = np.flatnonzero(np.diff(inside, prepend=False))
    starts, ends = edges[::2], edges[1::2]
    longest = int((ends - starts).max(initial=0))
    if (digits == 255).any() or longest > 15:
        raise ValueError(f"expected hexadecimal integers in {what}; it is damaged")
    values = np.zeros(len(starts), np.int64)
    for place in range(longest):
        at = ends - 1 - place
        there = at >= starts
        values[there] |= digits[at[there]].astype(np.int64) << (4 * place)
    return values
