"""Numbers of data lines."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_mesh.io.readers.abaqus.deck import Deck, Keyword

_COMMA, _LINE_FEED = b",\n"
_BLANKS = b" \t\v\f"
# Fortran's exponents D and d are those of E and e.
_TO_WORDS = bytes.maketrans(b",Dd", b" Ee")
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[EeDd][+-]?\d+)?")
_SMALL = 500  # bytes, below which Python is faster than NumPy
_MAX_LABEL = 1 << 53  # integers up to it are exact in float64


@dataclass(slots=True)
class Rows:
    """Numbers of the data lines of some keywords, blank lines left out.

    Attributes:
        values: All numbers; empty fields between others are 0.
        counts: How many numbers each line has; empty fields at its end do not count.
        continued: Whether a comma ends the line.
        lines: Index of each line in the text.
        starts: Index in the text of the first line of each keyword, and the number of lines.
    """

    values: NDArray[np.float64]
    counts: NDArray[np.int64]
    continued: NDArray[np.bool_]
    lines: NDArray[np.int64]
    starts: NDArray[np.int64]

    def keyword_slices(self) -> NDArray[np.int64]:
        """Index of the first row of each keyword, and the number of rows."""
        return np.searchsorted(self.lines, self.starts)


class DataLines:
    """The data lines of keywords of one kind, which are parsed together."""

    def __init__(self, deck: Deck, keywords: Sequence[Keyword]) -> None:
        self.deck = deck
        self.keywords = keywords
        self._pieces = [piece for keyword in keywords for piece in keyword.data]

    def rows(self) -> Rows:
        """Parse the numbers.

        Raises:
            ValueError: If a field is no number.
        """
        content = self.deck.content
        starts = [0]
        for keyword in self.keywords:
            lines = sum(content.count(b"\n", start, end) for start, end in keyword.data)
            starts.append(starts[-1] + lines)
        text = b"".join(content[start:end] for start, end in self._pieces)
        if text and not text.endswith(b"\n"):
            text += b"\n"
            starts[-1] += 1
        rows = None if len(text) < _SMALL else _fast_rows(text)
        values, counts, continued, lines = rows or self._slow_rows(text)
        return Rows(values, counts, continued, lines, np.array(starts))

    def error(self, index: int, message: str) -> ValueError:
        """An error at a line of the text, by its index, which the message begins with."""
        content = self.deck.content
        for start, end in self._pieces:
            lines = content.count(b"\n", start, end)
            if index < lines or end == len(content):
                number = self.deck.line(start) + int(index)
                return ValueError(f"line {number}: {message}")
            index -= lines
        raise AssertionError(index)

    def labels(self, values: NDArray[np.float64], lines: NDArray[np.int64]) -> NDArray[np.int64]:
        """Numbers of nodes or elements, each from the line of the same index.

        Raises:
            ValueError: If one is not a positive integer.
        """
        bad = ~((values >= 1) & (values < _MAX_LABEL) & (values == np.floor(values)))
        if bad.any():
            at = int(np.argmax(bad))
            raise self.error(lines[at], f"expected a positive integer (got {values[at]:g})")
        return values.astype(np.int64)

    def _slow_rows(self, text: bytes) -> tuple[Any, ...]:
        """Parse line by line, which finds the line of an error and allows empty fields."""
        values: list[float] = []
        counts, continued, lines = [], [], []
        for index, line in enumerate(text.decode("latin-1").split("\n")):
            words = [word.strip() for word in line.split(",")]
            if words == [""]:
                continue
            lines.append(index)
            continued.append(not words[-1])
            while words and not words[-1]:
                words.pop()
            counts.append(len(words))
            for word in words:
                if word and not _NUMBER.fullmatch(word):
                    raise self.error(index, _no_number(word))
                values.append(float(word.replace("D", "E").replace("d", "e")) if word else 0.0)
        array = np.array(values)
        if not np.isfinite(array).all():
            at = np.searchsorted(np.cumsum(counts), np.argmax(~np.isfinite(array)), "right")
            raise self.error(lines[at], "expected finite numbers (got one beyond 1e308)")
        return (
            array,
            np.array(counts, np.int64),
            np.array(continued, np.bool_),
            np.array(lines, np.int64),
        )


def _fast_rows(text: bytes) -> tuple[Any, ...] | None:
    """Parse all lines at once; None if a field is empty or no number."""
    compact = text.translate(None, _BLANKS)
    if b",," in compact or b"\n," in compact or compact.startswith(b","):
        return None
    letters = np.frombuffer(compact, np.uint8)
    ends = np.flatnonzero(letters == _LINE_FEED)
    begins = np.concatenate([[0], ends[:-1] + 1])
    lines = np.flatnonzero(ends > begins)
    ends = ends[lines]
    continued = letters[ends - 1] == _COMMA
    commas = np.searchsorted(np.flatnonzero(letters == _COMMA), ends)
    counts = np.diff(commas, prepend=0) + 1 - continued
    try:
        values = np.fromstring(text.translate(_TO_WORDS), sep=" ")
    except ValueError:
        return None
    # No field is empty: each gives a number, or more than one if it is not a number.
    if len(values) != counts.sum() or not np.isfinite(values).all():
        return None
    return values, counts, continued, lines


def _no_number(word: str) -> str:
    if word.startswith("<"):
        return f"the parameter {word[:40]} is not read; write its value"
    return f"expected a number (got {word[:40]!r})"
