"""Rows of the elements of PLY files."""

import numpy as np
from numpy.typing import NDArray

from flare_mesh.io.surfaces.ply_header import PlyElement

_MAX_LENGTH = 1 << 40  # of a list

Columns = dict[str, tuple[NDArray, NDArray[np.int64]]]
"""Values of each property, one row after the other, and the number of values of each row."""


class TextRows:
    """Rows of the elements of a text file, read one element after the other."""

    def __init__(self, numbers: NDArray[np.float64]) -> None:
        self._numbers = numbers
        self._at = 0

    def surplus(self) -> int:
        """Numbers behind the last element."""
        return len(self._numbers) - self._at

    def read(self, element: PlyElement, names: tuple[str, ...]) -> Columns:
        """Read the next element; return the properties ``names``."""
        _check_coordinates(element, names)
        start = self._at
        # Lists of equal length, as those of the triangles of a surface, make rows of equal length.
        layout, width = [], 0
        for item in element.properties:
            head = self._numbers[start + width : start + width + 1] if item.count_type else [1]
            length = int(head[0]) if len(head) and 0 <= head[0] < _MAX_LENGTH else 0
            layout.append((item, width + bool(item.count_type), length))
            width += bool(item.count_type) + length
        end = start + element.count * width
        if end <= len(self._numbers) or not element.count:
            rows = self._numbers[start:end].reshape(element.count, width)
            lists = [(at - 1, length) for item, at, length in layout if item.count_type]
            if all((rows[:, at] == length).all() for at, length in lists):
                self._at = end
                return {
                    item.name: (
                        _rounded(rows[:, at : at + length].reshape(-1), item.type),
                        np.full(element.count, length, np.int64),
                    )
                    for item, at, length in layout
                    if item.name in names
                }
        return self._walk(element, names)

    def _walk(self, element: PlyElement, names: tuple[str, ...]) -> Columns:
        """Read rows of different length."""
        at, end = self._at, len(self._numbers)
        numbers = self._numbers
        found: dict[str, list[tuple[int, int]]] = {name: [] for name in names}
        for _ in range(element.count):
            for item in element.properties:
                length = 1
                if item.count_type:
                    length = _length(numbers[at] if at < end else None, element)
                    at += 1
                if item.name in found:
                    found[item.name].append((at, length))
                at += length
            if at > end:
                raise _cut_off(element)
        self._at = at
        kinds = {p.name: p.type for p in element.properties}
        gathered = {name: _gather(numbers, places) for name, places in found.items()}
        return {name: (_rounded(v, kinds[name]), n) for name, (v, n) in gathered.items()}


class BinaryRows:
    """Rows of the elements of a binary file, read one element after the other."""

    def __init__(self, content: bytes, start: int, order: str) -> None:
        self._content = content
        self._at = start
        self._order = order

    def surplus(self) -> int:
        """Bytes behind the last element."""
        return len(self._content) - self._at

    def read(self, element: PlyElement, names: tuple[str, ...]) -> Columns:
        """Read the next element; return the properties ``names``."""
        _check_coordinates(element, names)
        if not element.properties:
            return {}
        fields, lengths, size = [], {}, 0
        for number, item in enumerate(element.properties):
            kind = np.dtype(self._order + item.type)
            if item.count_type:
                count = np.dtype(self._order + item.count_type)
                head = self._content[self._at + size : self._at + size + count.itemsize]
                length = int(np.frombuffer(head, count)[0]) if len(head) == count.itemsize else 0
                lengths[number] = length = max(length, 0)
                fields.append((f"count{number}", count))
                size += count.itemsize + length * kind.itemsize
                if size > self.surplus():
                    return self._walk(element, names)
                fields.append((f"{number}", kind, (length,)))
            else:
                fields.append((f"{number}", kind))
                size += kind.itemsize
        if element.count * size > self.surplus():
            return self._walk(element, names)
        row = np.dtype(fields)
        rows = np.frombuffer(self._content, row, element.count, self._at)
        if not all((rows[f"count{n}"] == length).all() for n, length in lengths.items()):
            return self._walk(element, names)
        self._at += element.count * size
        return {
            item.name: (
                rows[f"{n}"].reshape(-1),
                np.full(element.count, lengths.get(n, 1), np.int64),
            )
            for n, item in enumerate(element.properties)
            if item.name in names
        }

    def _walk(self, element: PlyElement, names: tuple[str, ...]) -> Columns:
        """Read rows of different length."""
        at, end = self._at, len(self._content)
        order = "big" if self._order == ">" else "little"
        items = []
        for item in element.properties:
            size = np.dtype(item.count_type).itemsize if item.count_type else 0
            signed = item.count_type[:1] == "i"
            items.append((item.name, np.dtype(item.type).itemsize, size, signed))
        found: dict[str, list[tuple[int, int]]] = {name: [] for name in names}
        for _ in range(element.count):
            for name, size, count_size, signed in items:
                length = 1
                if count_size:
                    head = self._content[at : at + count_size]
                    length = int.from_bytes(head, order, signed=signed)
                    length = _length(length if len(head) == count_size else None, element)
                    at += count_size
                if name in found:
                    found[name].append((at, length))
                at += length * size
            if at > end:
                raise _cut_off(element)
        self._at = at
        kinds = {p.name: np.dtype(self._order + p.type) for p in element.properties}
        flat = np.frombuffer(self._content, np.uint8)
        return {name: _gather_bytes(flat, places, kinds[name]) for name, places in found.items()}


def _check_coordinates(element: PlyElement, names: tuple[str, ...]) -> None:
    single = {p.name for p in element.properties if not p.count_type}
    for name in names:
        if name in "xyz" and name not in single:
            raise ValueError(f"its vertices have no '{name}'; export it again")


def _length(value: float | None, element: PlyElement) -> int:
    """Length of a list in a file."""
    if value is None:
        raise _cut_off(element)
    if not 0 <= value < _MAX_LENGTH or value % 1:
        raise ValueError(f"element '{element.name}' has a list of {value:g} values; it is damaged")
    return int(value)


def _rounded(values: NDArray, kind: str) -> NDArray:
    """Numbers of a text as the type of float that its header declares."""
    if kind[0] != "f":
        return values
    with np.errstate(over="ignore"):
        return values.astype(kind)


def _cut_off(element: PlyElement) -> ValueError:
    return ValueError(
        f"ends before the last of its {element.count:,} elements '{element.name}'; the file is "
        f"damaged or cut off"
    )


def _gather(values: NDArray, places: list[tuple[int, int]]) -> tuple[NDArray, NDArray[np.int64]]:
    """Values at ``places`` (start, length), one after the other, and the lengths."""
    starts, lengths = np.array(places, dtype=np.int64).reshape(-1, 2).T
    before = np.cumsum(lengths) - lengths
    index = np.repeat(starts - before, lengths) + np.arange(int(lengths.sum()))
    return values[index], lengths


def _gather_bytes(
    content: NDArray[np.uint8], places: list[tuple[int, int]], kind: np.dtype
) -> tuple[NDArray, NDArray[np.int64]]:
    """As :func:`_gather`, of values that start at any byte."""
    in_bytes = [(start, length * kind.itemsize) for start, length in places]
    values, sizes = _gather(content, in_bytes)
    return values.view(kind), sizes // kind.itemsize
