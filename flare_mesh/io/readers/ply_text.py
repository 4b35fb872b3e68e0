"""Rows of PLY files that are written as text."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_mesh.io.readers.ply_header import PLYElement, PLYHeader
from flare_mesh.io.readers.ply_rows import PLYRows, cut_off, ranges
from flare_mesh.io.readers.text_lines import TextLines, check_last_line

_Array = NDArray[Any]


def read_text_rows(data: bytes, header: PLYHeader) -> dict[str, PLYRows]:
    """Rows of all elements, one to a line.

    Raises:
        ValueError: If lines are missing or too many, or a line has other values than declared.
    """
    check_last_line(data)
    if b"\0" in data:
        raise ValueError("expected a text after its header (got bytes that are no text)")
    # Blank lines in place of the header keep the numbers of the lines.
    head = data.count(b"\n", 0, header.size)
    lines = TextLines(b"\n" * head + data[header.size :])
    first, found = 0, {}
    for element in header.elements:
        if not element.properties:
            found[element.name] = PLYRows({}, {})
            continue
        rows = np.arange(first, min(first + element.count, len(lines.counts)))
        if len(rows) < element.count:
            raise cut_off(element, f"got {len(rows):,} lines")
        found[element.name] = _text_element(lines, rows, element)
        first += element.count
    if first < len(lines.counts):
        raise ValueError(
            f"line {lines.numbers[first]}: more lines than its header declares; correct the header"
        )
    return found


def _text_element(lines: TextLines, rows: NDArray[np.int64], element: PLYElement) -> PLYRows:
    words = lines.words(rows, keyword=False).split()
    ends = np.cumsum(lines.counts[rows])
    place = ends - lines.counts[rows]
    has_reals = any(one.dtype.kind == "f" for one in element.properties)
    # Integers are converted at once.
    integers = None if has_reals or not words else _convert(words, np.dtype(np.int64))
    row_of = np.repeat(rows, lines.counts[rows])
    if isinstance(integers, int):
        line, word = lines.numbers[row_of[integers]], words[integers].decode("latin-1")
        raise ValueError(f"line {line}: expected a whole number (got '{word[:40]}')")
    all_integers = integers

    def pick(places: NDArray[np.int64], dtype: np.dtype) -> _Array:
        if all_integers is None:
            chosen = list(map(words.__getitem__, places.tolist()))
            values = _convert(chosen, dtype)
        else:
            values = _fit(all_integers[places], dtype)
        if isinstance(values, int):
            word = words[places[values]].decode("latin-1")
            line = lines.numbers[row_of[places[values]]]
            raise ValueError(f"line {line}: expected a number of type {dtype.name} (got '{word}')")
        return values

    def check(fits: NDArray[np.bool_]) -> None:
        if not fits.all():
            row = rows[np.argmin(fits)]
            raise ValueError(
                f"line {lines.numbers[row]}: expected the values of a '{element.name}' as its "
                f"header declares (got {lines.counts[row]} numbers)"
            )

    result = PLYRows({}, {})
    for one in element.properties:
        check(place < ends)
        if one.length is None:
            result.numbers[one.name] = pick(place, one.dtype)
            place = place + 1
            continue
        counts = pick(place, one.length).astype(np.int64)
        check((counts >= 0) & (counts < ends - place))
        result.lists[one.name] = pick(ranges(place + 1, counts), one.dtype), counts
        place = place + 1 + counts
    check(place == ends)
    return result


def _convert(words: Sequence[bytes], dtype: np.dtype) -> _Array | int:
    """Words as numbers, or the place of the first that is none."""
    kind = np.float64 if dtype.kind == "f" else np.int64
    try:
        if b"_" not in b"".join(words):  # Python also reads 1_000
            return _fit(np.array(words, dtype=kind), dtype)
    except (ValueError, OverflowError):
        pass
    for place, word in enumerate(words):
        try:
            if b"_" in word:
                return place
            np.array([word], dtype=kind)
        except (ValueError, OverflowError):
            return place
    return 0


def _fit(values: _Array, dtype: np.dtype) -> _Array | int:
    """Numbers in a type, or the place of the first that is out of its range."""
    if dtype.kind != "f" and dtype.itemsize < 8:
        limits = np.iinfo(dtype)
        outside = (values < limits.min) | (values > limits.max)
        if outside.any():
            return int(np.argmax(outside))
    return values.astype(dtype)
