"""Sections of ANSYS Fluent's mesh and case files."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_mesh.io.readers.number_text import read_hexadecimal, read_numbers

_Array = NDArray[Any]
_NODES, _CELLS, _FACES = 10, 12, 13
_BLANK = re.compile(rb"\s*")
_START = re.compile(rb"\(\s*(\d{1,9})")
_HEAD = re.compile(rb"\s*\(([\s0-9a-fA-F]*)\)\s*(\(?)")
_BINARY_END = re.compile(rb"\)\s*End of Binary Section\s*\d+\s*\)")
_CLOSE = re.compile(rb"\s*\)")
_NESTED = re.compile(rb'"(?:[^"\\]|\\.)*"|[()]', re.DOTALL)
_CUT_OFF = "a section does not end; the file is cut off"


@dataclass(frozen=True)
class Section:
    """A section of nodes, cells or faces, or with another content.

    Attributes:
        index: Number of its kind, without the thousands of the binary forms.
        form: 0 for text, 2 for binary in single and 3 in double precision.
        head: The numbers of its head, such as zone, first and last entry; empty for other sections.
        body: Its content; None if it has only a head.
    """

    index: int
    form: int
    head: list[int]
    body: bytes | None

    @property
    def count(self) -> int:
        """Number of entries from the first to the last."""
        return self.head[2] - self.head[1] + 1

    def integers(self, order: str) -> _Array:
        """The content as integers; ``order`` is the byte order."""
        body = self.body or b""
        if self.form:
            return np.frombuffer(body[: len(body) // 4 * 4], f"{order}i4").astype(np.int64)
        return read_hexadecimal(body, f"section {self.index}")

    def reals(self, order: str) -> _Array:
        """The content as real numbers; ``order`` is the byte order."""
        body = self.body or b""
        if self.form:
            size = 4 * (self.form - 1)
            return np.frombuffer(body[: len(body) // size * size], f"{order}f{size}").astype(float)
        return read_numbers(body, f"section {self.index}")


def read_sections(content: bytes) -> Iterator[Section]:
    """The sections of a file in their order.

    Raises:
        ValueError: If a section does not end, or something else is between the sections.
    """
    position = 3 if content.startswith(b"\xef\xbb\xbf") else 0
    while True:
        blank = _BLANK.match(content, position)
        position = blank.end() if blank else position
        if position == len(content):
            return
        start = _START.match(content, position)
        if start is None:
            got = content[position : position + 30].decode(errors="replace")
            raise ValueError(
                f"expected a section, which begins with '(' and a number (got {got!r})"
            )
        form, index = divmod(int(start[1]), 1000)
        if index in (_NODES, _CELLS, _FACES) and form in (0, 2, 3):
            section, position = _entries(content, index, form, start.end())
            yield section
        elif form in (2, 3):
            position = _binary_end(content, start.end())[1]
        else:
            end = _matching(content, start.end())
            yield Section(int(start[1]), 0, [], content[start.end() : end])
            position = end + 1


def _entries(content: bytes, index: int, form: int, position: int) -> tuple[Section, int]:
    """A section of nodes, cells or faces, and where it ends."""
    found = _HEAD.match(content, position)
    if found is None:
        raise ValueError(f"section {index} has no head; the file is damaged, or cut off")
    head = read_hexadecimal(found[1], f"the head of section {index}").tolist()
    if len(head) < 3 or head[1] < 1 or head[2] < head[1] - 1:
        raise ValueError(
            f"expected zone, first and last entry in the head of section {index} (got {head})"
        )
    position = found.end()
    if not found[2]:
        body = None
    elif form:
        start = position
        end, position = _binary_end(content, start)
        return Section(index, form, head, content[start:end]), position
    else:
        end = content.find(b")", position)
        if end < 0:
            raise ValueError(_CUT_OFF)
        body, position = content[position:end], end + 1
    close = _CLOSE.match(content, position)
    if close is None:
        raise ValueError(_CUT_OFF)
    return Section(index, form, head, body), close.end()


def _binary_end(content: bytes, start: int) -> tuple[int, int]:
    """Where the numbers and where a binary section end."""
    found = _BINARY_END.search(content, start)
    if found is None:
        raise ValueError(_CUT_OFF)
    return found.start(), found.end()


def _matching(content: bytes, position: int) -> int:
    """Place of the parenthesis that closes a section."""
    depth = 1
    for found in _NESTED.finditer(content, position):
        depth += {b"(": 1, b")": -1}.get(found[0], 0)
        if not depth:
            return found.start()
    raise ValueError(_CUT_OFF)
