"""Sections and lines of a Nastran input file."""

import re
from dataclasses import dataclass
from itertools import compress
from typing import Any

import numpy as np
from numpy.typing import NDArray

_BEGIN = re.compile(rb"^[ \t]*BEGIN\b([^\n]*)", re.MULTILINE)
_END = re.compile(rb"^[ \t]*ENDDATA\b", re.MULTILINE)
_INCLUDE = re.compile(rb"^[ \t]*INCLUDE\b", re.MULTILINE)
_CONTROL = re.compile(rb"^[ \t]*(?:SOL|CEND|SUBCASE)\b", re.MULTILINE)
_COMMENT = re.compile(rb"\$[^\n]*")


@dataclass(frozen=True)
class BulkLines:
    """Lines of the bulk data section that are not blank, in upper case, without comments.

    Attributes:
        lines: The lines, tabs expanded.
        numbers: Number of each line in the file, from 1.
        heads: First field of each line, eight characters.
        free: Whether a line is in free format, with commas.
    """

    lines: list[bytes]
    numbers: NDArray[np.int64]
    heads: NDArray[np.bytes_]
    free: NDArray[np.bool_]


def bulk_lines(data: bytes) -> BulkLines:
    """Lines of the bulk data section of a deck, or of a file that has only this section.

    Raises:
        ValueError: If the file is not a text, has no ENDDATA, includes other files, or has several
            models.
    """
    text, first = _bulk_section(data)
    if b"\t" in text:
        text = text.expandtabs(8)
    lines = text.split(b"\n")
    filled = np.fromiter(map(len, map(bytes.strip, lines)), np.int64, len(lines)) > 0
    lines = list(compress(lines, filled))
    heads = np.array(lines, "S8") if lines else np.zeros(0, "S8")
    free = np.zeros(len(lines), dtype=bool)
    if b"," in text:
        free[:] = [b"," in line for line in lines]
        letters = heads.view(np.uint8).reshape(-1, 8)
        letters[np.logical_or.accumulate(letters == ord(","), axis=1)] = 0
    stripped: Any = np.strings.strip(heads)
    return BulkLines(lines, np.flatnonzero(filled) + first, stripped, free)


def _bulk_section(data: bytes) -> tuple[bytes, int]:
    """Text of the section and the number of its first line."""
    if b"\0" in data:
        raise ValueError("expected a Nastran bulk data file (got a binary file)")
    data = data.removeprefix(b"\xef\xbb\xbf").upper()
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    text = _COMMENT.sub(b"", data)
    end = _END.search(text)
    if end is None:
        raise ValueError(
            "it has no ENDDATA, so it may be cut off; if it is whole, add ENDDATA as its last line"
        )
    text = text[: end.start()]

    def line(position: int) -> str:
        number = text.count(b"\n", 0, position) + 1
        return f"line {number}"

    if found := _INCLUDE.search(text):
        raise ValueError(
            f"{line(found.start())}: INCLUDE is not read; insert the text of the included file"
        )
    start = 0
    for number, found in enumerate(_BEGIN.finditer(text)):
        model = found[1].strip(b" ,\t").decode(errors="replace")
        if number or model not in ("", "BULK"):
            raise ValueError(
                f"{line(found.start())}: 'BEGIN {model}' begins another model, such as a "
                f"superelement, which is not read; write one model to one file"
            )
        start = found.end()
    if not start and (found := _CONTROL.search(text)):
        raise ValueError(
            f"{line(found.start())}: case control without a line 'BEGIN BULK' after it; add that "
            f"line before the bulk data"
        )
    return text[start:], text.count(b"\n", 0, start) + 1
