"""Rows of binary PLY files."""

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_mesh.io.readers.ply_header import PLYElement, PLYHeader
from flare_mesh.io.readers.ply_rows import PLYRows, cut_off, ranges

# Formats of the module struct.
_CODES = {"i1": "b", "u1": "B", "i2": "h", "u2": "H", "i4": "i", "u4": "I", "i8": "q", "u8": "Q"}


def read_binary_rows(data: bytes, header: PLYHeader) -> tuple[dict[str, PLYRows], int]:
    """Rows of all elements, and the number of bytes after them.

    Raises:
        ValueError: If the file is shorter than its rows.
    """
    start, found = header.size, {}
    for element in header.elements:
        found[element.name], start = _binary_element(data, start, element)
    return found, len(data) - start


def _binary_element(data: bytes, start: int, element: PLYElement) -> tuple[PLYRows, int]:
    lists = [one for one in element.properties if one.length is not None]
    shortest = _row_type(element, [0] * len(lists)).itemsize
    if element.count * shortest > len(data) - start:
        raise cut_off(element, f"got {len(data) - start:,} bytes")
    # The lists of most files have the same lengths in all rows.
    _, counts, _ = _list_places(data, start, element, min(element.count, 1))
    lengths = counts[0].tolist() if len(counts) else [0] * len(lists)
    dtype = _row_type(element, lengths)
    end = start + element.count * dtype.itemsize
    if end > len(data):
        return _ragged_element(data, start, element)
    rows = np.frombuffer(data, dtype, element.count, start)
    if any((rows[f"length {p.name}"] != n).any() for p, n in zip(lists, lengths, strict=True)):
        return _ragged_element(data, start, element)
    values = {
        one.name: (rows[one.name].reshape(-1), np.full(element.count, length, np.int64))
        for one, length in zip(lists, lengths, strict=True)
    }
    return PLYRows(
        {p.name: rows[p.name] for p in element.properties if p not in lists}, values
    ), end


def _row_type(element: PLYElement, lengths: list[int]) -> np.dtype:
    """Type of a row whose lists have these lengths."""
    parts: list[tuple[Any, ...]] = []
    left = iter(lengths)
    for one in element.properties:
        if one.length is None:
            parts.append((one.name, one.dtype))
        else:
            parts += [(f"length {one.name}", one.length), (one.name, one.dtype, (next(left),))]
    return np.dtype(parts)


def _list_places(
    data: bytes, start: int, element: PLYElement, count: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Where the lists of ``count`` rows begin and their lengths, [count, lists]; the rows' end."""
    plan, gap = [], 0
    for one in element.properties:
        if one.length is None:
            gap += one.dtype.itemsize
        else:
            code = one.length.str[0].replace("|", "<") + _CODES[one.length.str[1:]]
            plan.append((gap, struct.Struct(code), one.length.itemsize, one.dtype.itemsize))
            gap = 0
    found = []
    at = start
    try:
        # Each list begins where the one before ends, so that this is a loop over rows.
        for _ in range(count):
            for before, length, length_size, size in plan:
                at += before
                (number,) = length.unpack_from(data, at)
                at += length_size
                found.append(at)
                at += number * size
            at += gap
    except (struct.error, OverflowError):
        at = len(data) + 1
    if at > len(data) or min(found, default=start) < start:
        raise _too_long(element)
    begins = np.array(found, np.int64).reshape(count, len(plan))
    counts = np.zeros_like(begins)
    letters = np.frombuffer(data, np.uint8)
    lengths = [one.length for one in element.properties if one.length is not None]
    for place, length in enumerate(lengths):
        first = begins[:, place, None] - length.itemsize
        counts[:, place] = letters[first + np.arange(length.itemsize)].view(length).reshape(-1)
    if counts.min(initial=0) < 0:
        raise _too_long(element)
    return begins, counts, at


def _too_long(element: PLYElement) -> ValueError:
    return cut_off(element, "its lists do not fit into the file")


def _ragged_element(data: bytes, start: int, element: PLYElement) -> tuple[PLYRows, int]:
    begins, counts, end = _list_places(data, start, element, element.count)
    letters = np.frombuffer(data, np.uint8)
    result = PLYRows({}, {})
    sizes = [one.dtype.itemsize for one in element.properties if one.length is not None]
    length = (counts * sizes).sum(axis=1)
    fixed = _row_type(element, [0] * len(sizes)).itemsize
    place = start + np.cumsum(length + fixed) - length - fixed
    number = 0
    for one in element.properties:
        if one.length is None:
            values = letters[place[:, None] + np.arange(one.dtype.itemsize)]
            result.numbers[one.name] = values.view(one.dtype).reshape(-1)
            place = place + one.dtype.itemsize
            continue
        size = counts[:, number] * one.dtype.itemsize
        values = letters[ranges(begins[:, number], size)].view(one.dtype)
        result.lists[one.name] = values, counts[:, number]
        place = begins[:, number] + size
        number += 1
    return result, end
