"""Words and arrays of VTK's legacy files, in text or binary."""

import mmap
import re

import numpy as np
from numpy.typing import NDArray

from flare_mesh.io.text_numbers import NO_END, TextNumbers

_EMPTY_LINE = re.compile(rb"\n[ \t\r]*\n")
_MAX_TEXTS = 5_000_000
_WORD = re.compile(rb"\s*(\S{1,256})")
_TYPES = {
    **{"bit": "bit", "char": "i1", "signed_char": "i1", "unsigned_char": "u1"},
    **{"short": "i2", "unsigned_short": "u2", "int": "i4", "unsigned_int": "u4"},
    **{"long": "i8", "unsigned_long": "u8", "float": "f4", "double": "f8"},
    # VTK writes its vtkIdType as int.
    **{"vtkidtype": "i4", "vtktypeint64": "i8", "vtktypeuint64": "u8"},
    **{"vtktypeint32": "i4", "vtktypeuint32": "u4", "vtktypeint16": "i2", "vtktypeuint16": "u2"},
    **{"vtktypeint8": "i1", "vtktypeuint8": "u1"},
}
STRINGS = ("string", "utf8_string")
"""Types of arrays that hold no numbers."""


class LegacyVTKValues:
    """Words and arrays of a legacy VTK file in their order.

    Each array is compared with what the file still has before memory is allocated.

    Args:
        content: The file.
        at: Offset of the first word.
        is_text: Whether arrays are text; otherwise big-endian binary.
    """

    def __init__(self, content: mmap.mmap | bytes, at: int, is_text: bool) -> None:
        self.content = content
        self.at = at
        self.is_text = is_text
        self._numbers = TextNumbers(content)

    def next_word(self) -> str:
        """Read the next word; empty at the end of the file.

        Raises:
            ValueError: If no white space follows it, so that it may be cut off.
        """
        match = _WORD.match(self.content, self.at)
        if match is None:
            return ""
        self.at = match.end()
        if self.at == len(self.content):
            raise ValueError(NO_END)
        return match[1].decode(errors="replace")

    def word(self, what: str) -> str:
        """Read the next word.

        Raises:
            ValueError: If the file ends before it.
        """
        word = self.next_word()
        if not word:
            raise ValueError(f"expected {what} (the file ends); the file is truncated")
        return word

    def count(self, what: str) -> int:
        """Read the next word as a number that is not negative.

        Raises:
            ValueError: If it is something else.
        """
        word = self.word(what)
        if not (word.isascii() and word.isdecimal() and len(word) <= 18):
            raise ValueError(f"expected {what} (got '{word[:60]}')")
        return int(word)

    def end_line(self) -> str:
        """Read the rest of the line."""
        end = self.content.find(b"\n", self.at)
        end = len(self.content) if end < 0 else end
        line = self.content[self.at : end]
        self.at = min(end + 1, len(self.content))
        return line.decode(errors="replace").strip()

    def skip_paragraph(self) -> None:
        """Skip all lines up to an empty one."""
        match = _EMPTY_LINE.search(self.content, self.at)
        self.at = len(self.content) if match is None else match.end()

    def array(self, count: int, kind: str) -> NDArray:
        """Read ``count`` numbers of VTK's type ``kind``.

        Raises:
            ValueError: If the type is unknown, or the file has not so many numbers.
        """
        code = _TYPES.get(kind.lower())
        if code is None:
            raise ValueError(f"expected a type of numbers, such as float (got '{kind[:60]}')")
        return self._text(count, code) if self.is_text else self._binary(count, code)

    def skip_strings(self, count: int) -> None:
        """Skip an array of texts.

        Raises:
            ValueError: If the file has not so many, or there are too many.
        """
        if count > _MAX_TEXTS:
            raise ValueError(f"expected at most {_MAX_TEXTS:,} texts of an array (got {count:,})")
        self.end_line()
        for number in range(count):
            if self.at >= len(self.content):
                raise ValueError(f"expected {count:,} texts (got {number:,}); truncated")
            if self.is_text:
                self.end_line()
            else:
                self._skip_binary_string()

    def _skip_binary_string(self) -> None:
        # The upper two bits of the first byte state the number of bytes of the length.
        kind = self.content[self.at] >> 6
        size = 1 << (3 - kind)
        head = int.from_bytes(self.content[self.at : self.at + size], "big")
        self.at += size + (head & ((1 << (8 * size - 2)) - 1))
        if self.at > len(self.content):
            raise ValueError("a text ends too early; the file is truncated")

    def _binary(self, count: int, code: str) -> NDArray:
        self.end_line()
        dtype = np.dtype("u1" if code == "bit" else ">" + code)
        items = (count + 7) // 8 if code == "bit" else count
        has = len(self.content) - self.at
        if items * dtype.itemsize > has:
            raise ValueError(
                f"expected {items * dtype.itemsize:,} bytes of values (got {has:,}); the file is "
                f"truncated"
            )
        values = np.frombuffer(self.content, dtype, items, self.at)
        self.at += items * dtype.itemsize
        if code == "bit":
            return np.unpackbits(values, count=count)
        return values.astype(dtype.newbyteorder("="))

    def _text(self, count: int, code: str) -> NDArray:
        dtype = np.dtype("u1" if code == "bit" else code)
        values, _, self.at = self._numbers.read(self.at, count, dtype)
        return values
