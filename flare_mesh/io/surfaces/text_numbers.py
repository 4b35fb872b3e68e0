"""Numbers in text files."""

import re
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

_MAX_SHOWN = 40


def parse_numbers(
    text: bytes, file: bytes, kind: type[np.float64 | np.int64] = np.float64
) -> NDArray[Any]:
    """Parse numbers that are separated by white space.

    Args:
        text: The numbers.
        file: Content of the file that they are from, to find the line of a word that is no number.
        kind: Type of the numbers; if not all are whole, they are floats all the same.

    Raises:
        ValueError: If a word is no number; the message has its line.
    """
    if not text or text.isspace():
        return np.empty(0, kind)
    try:
        with warnings.catch_warnings(action="error"):  # older NumPy only warns, and stops there
            return np.fromstring(text, dtype=kind, sep=" ")
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


def unix_lines(content: bytes) -> bytes:
    """Text without a byte order mark, with the line ends of Unix."""
    text = content.removeprefix(b"\xef\xbb\xbf")
    return text.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in text else text
