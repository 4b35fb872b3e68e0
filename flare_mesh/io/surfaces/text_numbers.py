"""Numbers in text files."""

import re
import warnings

import numpy as np
from numpy.typing import NDArray

_MAX_SHOWN = 40


def parse_numbers(text: bytes, file: bytes) -> NDArray[np.float64]:
    """Parse numbers that are separated by white space.

    Args:
        text: The numbers.
        file: Content of the file that they are from, to find the line of a word that is no number.

    Raises:
        ValueError: If a word is no number; the message has its line.
    """
    if not text.strip():
        return np.empty(0)
    try:
        with warnings.catch_warnings(action="error"):  # older NumPy only warns, and stops there
            return np.fromstring(text, dtype=np.float64, sep=" ")
    except (ValueError, DeprecationWarning):
        pass
    for word in text.split():
        try:
            float(word)
        except ValueError:
            found = re.search(rb"(?<!\S)" + re.escape(word) + rb"(?!\S)", file)
            comma = "with decimal points instead of commas" if b"," in word else "again"
            raise ValueError(
                f"{line_of(file, found.start()) if found else 'text'}: expected a number (got "
                f"'{shown(word)}'); export it {comma}"
            ) from None
    return np.array(text.split(), dtype=np.float64)


def line_of(file: bytes, position: int) -> str:
    """Name of the line of a position, such as ``"line 12"``, with line ends of any system."""
    before = file[:position]
    lines = before.count(b"\n") + before.count(b"\r") - before.count(b"\r\n")
    return f"line {lines + 1}"


def shown(text: bytes) -> str:
    """Text of a file for a message, on one line and not too long."""
    word = " ".join(text[: 4 * _MAX_SHOWN].decode(errors="backslashreplace").split())
    return word if len(word) <= _MAX_SHOWN else word[: _MAX_SHOWN - 3] + "..."
