"""Lines, words and numbers of text files."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

_MAX_WORD = 40  # characters of a word in a message


class TextLines:
    """Lines of a text that have words, without a Python loop over lines or words.

    Args:
        text: The text.
        original: Text of the same length whose line ends count; ``text`` if None.

    Attributes:
        numbers: Number of each line, from 1.
        counts: Number of words of each line.
    """

    def __init__(self, text: bytes, original: bytes | None = None) -> None:
        self._letters = np.frombuffer(text, np.uint8)
        space = _is_space(self._letters)
        self._starts = np.flatnonzero(~space & np.concatenate([[True], space[:-1]]))
        line = np.searchsorted(_line_ends(text), self._starts)
        self._first = np.flatnonzero(np.diff(line, prepend=-1))
        self.counts = np.diff(self._first, append=len(self._starts))
        line_starts = self._starts[self._first]
        ends = _line_ends(text if original is None else original)
        self.numbers = np.searchsorted(ends, line_starts) + 1
        # Where the words after the first begin, and the next line with words.
        second = np.append(self._starts, len(text))[self._first + 1]
        self._after = np.append(line_starts[1:], len(text))
        self._rest = np.minimum(second, self._after)

    def keywords(self, width: int) -> NDArray[np.bytes_]:
        """First word of each line, cut to ``width`` characters."""
        place = self._starts[self._first][:, None] + np.arange(width)
        inside = place < len(self._letters)
        letters = self._letters[np.where(inside, place, 0)]
        letters[np.logical_or.accumulate(_is_space(letters) | ~inside, axis=1)] = 0
        return np.ascontiguousarray(letters).view(f"S{width}").reshape(-1)

    def words(self, rows: NDArray[np.integer], *, keyword: bool = True) -> bytes:
        """Text of some lines, without their first words if these are keywords."""
        change = np.zeros(len(self._letters) + 1, np.int8)
        # Lines that follow each other end and begin at the same place.
        change[self._rest[rows] if keyword else self._starts[self._first[rows]]] += 1
        change[self._after[rows]] -= 1
        return self._letters[np.cumsum(change[:-1], dtype=np.int8) > 0].tobytes()

    def values(
        self,
        rows: NDArray[np.integer],
        kind: type[np.float64 | np.int64],
        *,
        keyword: bool = True,
        finite: bool = True,
        prepare: Callable[[bytes], bytes] | None = None,
    ) -> NDArray[Any]:
        """Words of some lines as numbers, without the first words if these are keywords.

        Args:
            rows: The lines, in order.
            kind: Type of the numbers.
            keyword: Whether the first word of each line is a keyword.
            finite: Whether infinity and NaN are refused.
            prepare: Changes the text before it is divided into words.

        Raises:
            ValueError: If a word is no such number; it states the line.
        """
        text = self.words(rows, keyword=keyword)
        words = (text if prepare is None else prepare(text)).split()
        counts = self.counts[rows] - keyword
        values = None if b"_" in text else _numbers(words, kind, finite)  # Python also reads 1_000
        if values is None or len(values) != counts.sum():
            raise self._error(rows, counts, words, kind, finite)
        return values

    def _error(
        self,
        rows: NDArray[np.integer],
        counts: NDArray[np.integer],
        words: list[bytes],
        kind: type[np.float64 | np.int64],
        finite: bool,
    ) -> ValueError:
        ends = np.cumsum(counts)
        for place, word in enumerate(words):
            if b"_" in word or _numbers([word], kind, finite) is None:
                row = min(int(np.searchsorted(ends, place, "right")), len(rows) - 1)
                return ValueError(f"line {self.numbers[rows[row]]}: {_expected(word, kind)}")
        return ValueError(
            f"lines {self.numbers[rows[0]]} to {self.numbers[rows[-1]]}: expected {counts.sum()} "
            f"numbers (got {len(words)})"
        )


def _is_space(letters: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Whether characters are white space, as for bytes.split()."""
    return (letters == ord(" ")) | (letters - np.uint8(ord("\t")) <= ord("\r") - ord("\t"))


def _numbers(
    words: list[bytes], kind: type[np.float64 | np.int64], finite: bool
) -> NDArray[Any] | None:
    """Words as numbers; None if one is no number, or not finite."""
    try:
        values = np.array(words, dtype=kind)
    except (ValueError, OverflowError):
        return None
    return None if finite and not np.isfinite(values).all() else values


def _expected(word: bytes, kind: type[np.float64 | np.int64]) -> str:
    text = word[:_MAX_WORD].decode("latin-1")
    expected = "a number" if kind is np.float64 else "a whole number"
    hint = "; write decimal points" if b"," in word else ""
    return f"expected {expected} (got '{text}'){hint}"


def _line_ends(text: bytes) -> NDArray[np.int64]:
    return np.flatnonzero(np.frombuffer(text, np.uint8) == ord("\n"))


def check_text(data: bytes) -> bytes:
    """A text file with line feeds as line ends, without a byte order mark.

    Raises:
        ValueError: If it has bytes that are no text.
    """
    if b"\0" in data:
        raise ValueError("expected a text file (got a binary file)")
    data = data.removeprefix(b"\xef\xbb\xbf")
    return data if b"\n" in data else data.replace(b"\r", b"\n")


def check_last_line(data: bytes) -> None:
    """Refuse a text whose last line has no end, since its last number may be cut off.

    Raises:
        ValueError: If it does not end with a line end.
    """
    if not data.rstrip(b" \t").endswith((b"\n", b"\r")):
        raise ValueError(
            "its last line has no line end, so it may be cut off; if it is whole, add a line end"
        )
