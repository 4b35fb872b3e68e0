"""Cards of a Nastran bulk data file and their fields."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flare_mesh.io.readers.nastran_text import bulk_lines

_SMALL, _LARGE = 8, 4  # fields of a line
_MAX_FIELD = 24  # characters of a field in free format


@dataclass(frozen=True)
class Cards:
    """Cards of one name.

    Attributes:
        name: Name, such as ``"GRID"``.
        fields: Fields after the name without surrounding blanks, [cards, fields].
        lines: Line of the file where each card begins.
    """

    name: str
    fields: NDArray[np.bytes_]
    lines: NDArray[np.int64]


class BulkData:
    """Cards of a bulk data section: small, large and free fields, with continuation lines.

    Source: "Format of Bulk Data Entries" of the MSC and NX Nastran quick reference guides.

    Raises:
        ValueError: If the cards cannot be told apart, or use replication.
    """

    def __init__(self, data: bytes) -> None:
        text = bulk_lines(data)
        self._text = text
        count = len(text.lines)
        letters = text.heads.astype("S8").view(np.uint8).reshape(count, 8)
        first = letters[:, 0]
        follows = (first == 0) | (first == ord("+")) | (first == ord("*"))
        self._large = (letters == ord("*")).any(axis=1)
        self._large[follows] = first[follows] == ord("*")
        names = letters.copy()
        names[names == ord("*")] = 0
        self._check(letters, follows)
        self._starts = np.flatnonzero(~follows)
        self._ends = np.append(self._starts[1:], count)
        names = np.strings.strip(names[self._starts].view("S8").reshape(-1))
        found, self._number, counts = np.unique(
            names.astype("S8").view(">u8"), return_inverse=True, return_counts=True
        )
        texts = found.view("S8").tolist()
        self.counts = {
            name.decode("latin-1"): int(count) for name, count in zip(texts, counts, strict=True)
        }
        """Number of cards by name."""

    def line_of(self, name: str) -> int:
        """Line of the file where the first card of a name begins."""
        return int(self._text.numbers[self._rows(name)[0]])

    def cards(self, name: str, count: int) -> Cards:
        """The first ``count`` fields of the cards of a name.

        Raises:
            ValueError: If a line has more values than its format allows.
        """
        if name not in self.counts:
            return Cards(name, np.zeros((0, count), "S8"), np.zeros(0, np.int64))
        starts = self._rows(name)
        ends = self._ends[self._number == list(self.counts).index(name)]
        self._check_last(ends - 1)
        sizes = ends - starts
        if (sizes == 1).all():
            card, rows, first = np.arange(len(starts)), starts, np.zeros(len(starts), np.int64)
        else:
            card = np.repeat(np.arange(len(starts)), sizes)
            within = np.arange(len(card)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
            rows = starts[card] + within
            # Number of fields in the lines before, within the card.
            total = np.cumsum(np.where(self._large[rows], _LARGE, _SMALL))
            total = np.concatenate([[0], total[:-1]])
            first = total - total[np.cumsum(sizes) - sizes][card]
        used = first < count
        card, rows, first = card[used], rows[used], first[used]
        self._check_widths(rows[first > 0])
        parts = self._fields(rows)
        width = max(values.dtype.itemsize for _, values in parts)
        fields = np.zeros((len(starts), count + _SMALL), f"S{width}")
        for chosen, values in parts:
            place = first[chosen, None] + np.arange(values.shape[1])
            fields[card[chosen, None], place] = values
        return Cards(name, fields[:, :count], self._text.numbers[starts])

    def _rows(self, name: str) -> NDArray[np.int64]:
        return self._starts[self._number == list(self.counts).index(name)]

    def _fields(
        self, rows: NDArray[np.int64]
    ) -> list[tuple[NDArray[np.int64], NDArray[np.bytes_]]]:
        """Fields of lines after the first, by format: places in ``rows``, and [lines, fields]."""
        lines, free, large = self._text.lines, self._text.free[rows], self._large[rows]
        parts = []
        for form in (~free & ~large, ~free & large, free & ~large, free & large):
            chosen = np.flatnonzero(form)
            if not len(chosen):
                continue
            some = [lines[row] for row in rows[chosen]]
            is_large = bool(large[chosen[0]])
            if free[chosen[0]]:
                numbers = self._text.numbers[rows[chosen]]
                values = _free_fields(some, _LARGE if is_large else _SMALL, numbers)
            else:
                letters = np.array(some, "S72").view(np.uint8).reshape(-1, 72)
                kind = "S16" if is_large else "S8"
                values = np.strings.strip(np.ascontiguousarray(letters[:, 8:]).view(kind))
            parts.append((chosen, values))
        return parts

    def _check_last(self, rows: NDArray[np.int64]) -> None:
        """Refuse last lines of cards that name a continuation line."""
        lines, free = self._text.lines, self._text.free
        for row in rows[~free[rows]].tolist():
            if len(lines[row]) > 72 and lines[row][72:80].lstrip().startswith((b"+", b"*")):
                mark = lines[row][72:80].strip().decode("latin-1")
                raise ValueError(
                    f"line {self._text.numbers[row]}: expected the continuation '{mark}' on the "
                    f"next line; write continuation lines in order"
                )

    def _check_widths(self, rows: NDArray[np.int64]) -> None:
        """Refuse continuation lines of which it is not clear whether their fields are large."""
        unclear = rows[self._large[rows - 1] & (self._text.heads[rows] == b"")]
        if len(unclear):
            raise ValueError(
                f"line {self._text.numbers[unclear[0]]}: expected '*' in column 1, since the line "
                f"before has fields of 16 columns (got a blank)"
            )

    def _check(self, letters: NDArray[np.uint8], follows: NDArray[np.bool_]) -> None:
        text, first = self._text, letters[:, 0]
        if len(follows) and follows[0]:
            raise ValueError(f"line {text.numbers[0]}: a continuation line without a card before")
        replicated = np.flatnonzero((first == ord("=")) | (first == ord("/")))
        if len(replicated):
            line = text.numbers[replicated[0]]
            raise ValueError(
                f"line {line}: replication ('=', '*(n)') and deletion ('/') of cards are not read; "
                f"write every card in full"
            )
        rows = np.flatnonzero(follows)
        rows = rows[~text.free[rows] & ~text.free[rows - 1] & (first[rows] != 0)]
        if not len(rows):
            return
        before = np.array([text.lines[row - 1] for row in rows], "S80").view(np.uint8)
        before = np.ascontiguousarray(before.reshape(-1, 80)[:, 73:]).view("S7").reshape(-1)
        named = np.array([text.lines[row][1:8] for row in rows], "S7")
        before, named = np.strings.strip(before, b" +*"), np.strings.strip(named, b" +*")
        other = (before != named) & (before != b"") & (named != b"")
        if other.any():
            line = text.numbers[rows[other][0]]
            raise ValueError(
                f"line {line}: expected the continuation '{before[other][0].decode('latin-1')}' "
                f"(got '{named[other][0].decode('latin-1')}'); write continuation lines in order"
            )


def _free_fields(lines: list[bytes], count: int, numbers: NDArray[np.int64]) -> NDArray[np.bytes_]:
    """Fields of lines in free format after the first, [lines, count]."""
    lines = [line.rstrip(b", ") for line in lines]
    sizes = np.fromiter((line.count(b",") for line in lines), np.int64, len(lines)) + 1
    words = list(map(bytes.strip, b",".join(lines).split(b",")))
    width = max(map(len, words))
    line = np.repeat(np.arange(len(lines)), sizes)
    if width > _MAX_FIELD:
        number = numbers[line[next(i for i, word in enumerate(words) if len(word) == width)]]
        raise ValueError(f"line {number}: a field of {width} characters (at most {_MAX_FIELD})")
    values = np.array(words, f"S{max(width, 1)}")
    place = np.arange(len(line)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    # After the values may be the mark of the continuation line.
    mark = np.strings.startswith(values, b"+") | np.strings.startswith(values, b"*")
    extra = (place > count) & ~((place == count + 1) & (mark | (values == b"")))
    if extra.any():
        number = numbers[line[extra][0]]
        raise ValueError(
            f"line {number}: more than {count} values on a line; continue on the next line"
        )
    fields = np.zeros((len(lines), count), values.dtype)
    inner = (place > 0) & (place <= count)
    fields[line[inner], place[inner] - 1] = values[inner]
    return fields
