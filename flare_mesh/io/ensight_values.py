"""Lines and numbers of EnSight's files, in text or binary."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_mesh.io.text_numbers import TextNumbers

_LINE = 80  # bytes of a line in binary files
_BEGIN, _END = b"BEGIN TIME STEP", b"END TIME STEP"
# In columns of 12 characters, a negative number follows the digits of the one before.
_JOINED = re.compile(rb"(?<=\d)-")


class EnSightText:
    """Lines and numbers of a text file, in their order.

    Args:
        content: The file, or a time step of it.
        columns: Whether numbers are in columns, which may have no blanks between them.
    """

    def __init__(self, content: bytes, columns: bool) -> None:
        self._content = _JOINED.sub(b" -", content) if columns else content
        self._numbers = TextNumbers(self._content)
        self._at = 0
        self.num_bytes = len(content)

    @property
    def position(self) -> int:
        """Number of bytes that are read."""
        return self._at

    def at_end(self) -> bool:
        """Whether nothing but white space follows."""
        return not self._content[self._at :].strip()

    def place(self) -> str:
        """Where the next value is."""
        breaks = self._content.count(b"\n", 0, self._at)
        return f"line {breaks + 1}"

    def line(self) -> str:
        """Read the next line that is not blank.

        Raises:
            ValueError: If the file ends before it or within it.
        """
        while not (line := self.description()):
            pass
        return line

    def description(self) -> str:
        """Read the next line, which may be blank.

        Raises:
            ValueError: If the file ends before it or within it.
        """
        end = self._content.find(b"\n", self._at)
        if end < 0:
            raise ValueError("expected a line that ends with a line break; truncated")
        line = self._content[self._at : end]
        self._at = end + 1
        return line.decode(errors="replace").strip()

    def ints(self, count: int) -> NDArray[np.int64]:
        """Read integers, which take whole lines."""
        return self._read(count, np.dtype("i8"))

    def floats(self, count: int) -> NDArray[np.floating]:
        """Read real numbers, which take whole lines."""
        return self._read(count, np.dtype("f8"))

    def _read(self, count: int, dtype: np.dtype) -> NDArray[Any]:
        if not count:
            return np.empty(0, dtype)
        values, last, behind = self._numbers.read(self._at, count, dtype)
        end = self._content.find(b"\n", last)
        self._at = len(self._content) if end < 0 else end + 1
        if behind < self._at and behind < len(self._content):
            raise ValueError(f"expected {count:,} numbers in whole lines (got more)")
        return values


class EnSightBinary:
    """Lines and numbers of a binary file of C or Fortran, in their order.

    Args:
        content: The file, or a time step of it.
        order: ``"<"`` or ``">"``, the order of bytes.
        records: Whether each value is a record of Fortran, with its size before and behind it.
    """

    def __init__(self, content: bytes, order: str, records: bool) -> None:
        self._content = content
        self._order = order
        self._records = records
        self._at = 0
        self.num_bytes = len(content)

    @property
    def position(self) -> int:
        """Number of bytes that are read."""
        return self._at

    def at_end(self) -> bool:
        """Whether nothing follows."""
        return self._at >= len(self._content)

    def place(self) -> str:
        """Where the next value is."""
        return f"at byte {self._at:,}"

    def line(self) -> str:
        """Read the next line.

        Raises:
            ValueError: If the file ends before its end.
        """
        return self.description()

    def description(self) -> str:
        """Read the next line, which may be blank.

        Raises:
            ValueError: If the file ends before its end.
        """
        return self._take(_LINE).split(b"\0")[0].decode(errors="replace").strip()

    def ints(self, count: int) -> NDArray[np.int64]:
        """Read integers of 32 bits."""
        return np.frombuffer(self._take(4 * count), self._order + "i4").astype(np.int64)

    def floats(self, count: int) -> NDArray[np.floating]:
        """Read real numbers of 32 bits."""
        return np.frombuffer(self._take(4 * count), self._order + "f4").astype(np.float32)

    def _take(self, size: int) -> bytes:
        mark = 4 if self._records else 0
        end = self._at + size + 2 * mark
        if end > len(self._content):
            has = max(0, len(self._content) - self._at)
            raise ValueError(f"expected {size:,} bytes (got {has:,}); the file is truncated")
        taken = self._content[self._at + mark : end - mark]
        if self._records:
            marks = self._content[self._at : self._at + 4], self._content[end - 4 : end]
            expected = size.to_bytes(4, "little" if self._order == "<" else "big")
            if marks != (expected, expected):
                raise ValueError(f"expected a Fortran record of {size:,} bytes (got another size)")
        self._at = end
        return taken


EnSightValues = EnSightText | EnSightBinary


class EnSightFormat:
    """Encoding of a case's files, which its geometry file states.

    Args:
        path: The geometry file.
        is_gold: Whether it is of EnSight Gold.

    Attributes:
        is_binary: Whether it is binary; then its first line states the kind, and is skipped.
    """

    def __init__(self, path: Path, is_gold: bool) -> None:
        with path.open("rb") as file:
            head = file.read(_LINE + 8)
        self._records = head[4:18].lower() == b"fortran binary"
        self.is_binary = self._records or head[:8].lower() == b"c binary"
        self._orders: tuple[str, ...] = ("<", ">")
        if self._records:
            self._orders = ("<",) if head[:4] == _LINE.to_bytes(4, "little") else (">",)
        self._columns = not is_gold

    def fix_order(self, order: str) -> None:
        """Fix the order of bytes, which only the numbers of the geometry show."""
        self._orders = (order,)

    @property
    def orders(self) -> tuple[str, ...]:
        """Orders of bytes that are possible."""
        return self._orders if self.is_binary else self._orders[:1]

    @contextmanager
    def open(
        self, path: Path, number: int | None, count: int, order: str
    ) -> Iterator[EnSightValues]:
        """Values of a file; its errors name the place in it.

        Args:
            path: The file.
            number: Index of the time step, if the file has several.
            count: Number of steps that it must have.
            order: Order of bytes.
        """
        content = path.read_bytes()
        values: EnSightValues
        if self.is_binary:
            head = 88 if self._records else _LINE
            if number is not None:
                skipped = head if _is_binary_head(content) else 0
                content = _step(content, number, count, 4 if self._records else 0, skipped)
            elif _is_binary_head(content):
                content = content[head:]
            values = EnSightBinary(content, order, self._records)
        else:
            if number is not None:
                content = _step(content, number, count, None, 0)
            values = EnSightText(content, self._columns)
        try:
            yield values
        except ValueError as error:
            raise ValueError(f"{path.name}, {values.place()}: {error}") from error


def _is_binary_head(content: bytes) -> bool:
    return content[:8].lower() == b"c binary" or content[4:18].lower() == b"fortran binary"


def _step(content: bytes, number: int, count: int, mark: int | None, head: int) -> bytes:
    """The part between the lines that begin and end a time step."""
    found = []
    at = head
    while (begin := content.find(_BEGIN, at)) >= 0:
        end = content.find(_END, begin)
        if end < 0:
            break
        if mark is None:
            start = content.find(b"\n", begin) + 1
            found.append((start, end))
        else:
            found.append((begin + _LINE + mark, end - mark))
        at = end + len(_END)
    if len(found) != count:
        raise ValueError(f"expected {count} time steps in one file (got {len(found)} whole ones)")
    start, end = found[number]
    return content[start:end]
