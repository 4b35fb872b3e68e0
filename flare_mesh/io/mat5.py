"""Numeric arrays of MAT files of versions 5 and 7, which are not trusted.

``scipy.io.loadmat`` reads whole files only, holds doubles, and crashes the interpreter on some
damaged files.
"""

import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import DTypeLike, NDArray

from flare_mesh.io.arrays import MAX_BYTES, check_size

_HEADER, _MATRIX, _COMPRESSED = 128, 14, 15
_BLOCK = 1 << 20  # a multiple of all item sizes
_CODES = {
    1: "i1",
    2: "u1",
    3: "i2",
    4: "u2",
    5: "i4",
    6: "u4",
    7: "f4",
    9: "f8",
    12: "i8",
    13: "u8",
}
# Of double, single and the eight kinds of integers; the others are cells, structures, text, sparse.
_NUMERIC = range(6, 16)
_COMPLEX = 0x0800
_MAX_DIMS = 32


@dataclass(frozen=True)
class Mat5Array:
    """Where one array of the file is, and its shape; nothing of it has been read."""

    name: str
    shape: tuple[int, ...]
    start: int
    size: int
    compressed: bool


class _Source:
    """The bytes of one element of the file, decompressed as they are asked for."""

    def __init__(self, file: BinaryIO, start: int, size: int, compressed: bool) -> None:
        file.seek(start)
        self._file = file
        self._left = size
        self._inflate = zlib.decompressobj() if compressed else None

    def read(self, count: int) -> bytes:
        if self._inflate is None:
            count_now = min(count, self._left)
            data = self._file.read(count_now)
            self._left -= count_now
        else:
            data = b"".join(self._inflated(count))
        if len(data) != count:
            raise ValueError("an array ends before its values do")
        return data

    def _inflated(self, count: int) -> Iterator[bytes]:
        assert self._inflate is not None
        while count and not self._inflate.eof:
            packed = self._inflate.unconsumed_tail
            if not packed:
                packed = self._file.read(min(_BLOCK, self._left))
                self._left -= len(packed)
            data = self._inflate.decompress(packed, count)
            if not data and not packed:
                return
            count -= len(data)
            yield data

    def check_end(self) -> None:
        """Reads what is left, at whose end zlib compares the checksum."""
        while self._inflate is not None and not self._inflate.eof:
            if not any(self._inflated(_BLOCK)) and not self._inflate.eof:
                raise ValueError("an array without its checksum")

    def tag(self, order: str) -> tuple[int, int, bytes | None]:
        """Type and bytes of the next element; its content too, if it is within the tag."""
        head = self.read(8)
        code, size = struct.unpack(order + "II", head)
        if code >> 16:
            size, code = code >> 16, code & 0xFFFF
            if size > 4:
                raise ValueError("a small element of more than four bytes")
            return code, size, head[4 : 4 + size]
        return code, size, None

    def element(self, order: str, limit: int) -> bytes:
        """The next element, of at most ``limit`` bytes, and its padding."""
        _, size, content = self.tag(order)
        if content is not None:
            return content
        if size > limit:
            raise ValueError(f"expected at most {limit} bytes in an array's header (got {size})")
        return self.read(size + -size % 8)[:size]


def _byte_order(file: BinaryIO) -> str:
    head = file.read(_HEADER)
    order = {b"IM": "<", b"MI": ">"}.get(head[126:128])
    if order is None or struct.unpack(order + "H", head[124:126])[0] != 0x0100:
        raise ValueError("no header of a MAT file of version 5 or 7")
    return order


def _matrix_header(source: _Source, order: str) -> tuple[str, tuple[int, ...], bool]:
    """Name, shape, and whether it is an array of real numbers."""
    if source.tag(order)[0] != _MATRIX:
        raise ValueError("expected an array")
    flags = source.element(order, 8)
    if len(flags) != 8:
        raise ValueError("an array without flags")
    bits = struct.unpack(order + "I", flags[:4])[0]
    numeric = bits & 0xFF in _NUMERIC and not bits & _COMPLEX
    if not numeric:
        return "", (), False
    sizes = source.element(order, 4 * _MAX_DIMS)
    if len(sizes) % 4 or len(sizes) < 8:
        raise ValueError("an array of less than two dimensions")
    shape = struct.unpack(f"{order}{len(sizes) // 4}i", sizes)
    if min(shape) < 0:
        raise ValueError(f"an array of shape {list(shape)}")
    return source.element(order, 256).decode("ascii", "replace"), shape, True


def list_mat5(path: Path) -> dict[str, Mat5Array]:
    """The arrays of real numbers in a file, by name.

    Raises:
        ValueError: If it is not a whole MAT file of version 5 or 7.
    """
    found = {}
    try:
        with path.open("rb") as file:
            order = _byte_order(file)
            start, end = _HEADER, path.stat().st_size
            while start < end:
                file.seek(start)
                head = file.read(8)
                code, size = struct.unpack(order + "II", head) if len(head) == 8 else (0, 0)
                compressed = code == _COMPRESSED
                if not (compressed or code == _MATRIX) or start + 8 + size > end:
                    raise ValueError(f"it is cut off or damaged at byte {start:,}")
                # An array that is not compressed begins with the very tag that was just read.
                place = (start + 8, size) if compressed else (start, size + 8)
                name, shape, numeric = _matrix_header(_Source(file, *place, compressed), order)
                if numeric and name:
                    found[name] = Mat5Array(name, shape, *place, compressed)
                start += 8 + size
    except (OSError, ValueError, zlib.error) as error:
        raise ValueError(f"{path}: not a whole MAT file ({error})") from error
    return found


def read_mat5(
    path: Path, array: Mat5Array, dtype: DTypeLike = np.float64, *, max_bytes: int = MAX_BYTES
) -> NDArray:
    """One array as ``dtype``, in Fortran's order as it is stored; decompressed piece by piece.

    Values beyond the range of ``dtype`` become infinite.

    Raises:
        ValueError: If it is damaged, or larger than ``max_bytes`` in memory.
    """
    place = f"{path}, '{array.name}'"
    dtype = np.dtype(dtype)
    check_size(place, array.shape, dtype, max_bytes)
    count = math.prod(array.shape)
    try:
        with path.open("rb") as file, np.errstate(over="ignore"):
            order = _byte_order(file)
            source = _Source(file, array.start, array.size, array.compressed)
            if _matrix_header(source, order)[:2] != (array.name, array.shape):
                raise ValueError("the file has changed")
            code, size, content = source.tag(order)
            if code not in _CODES:
                raise ValueError(f"values of unknown type {code}")
            stored = np.dtype(order + _CODES[code])
            if size != count * stored.itemsize:
                raise ValueError(f"expected {count:,} values (got {size // stored.itemsize:,})")
            values = np.empty(count, dtype)
            if content is not None:
                values[:] = np.frombuffer(content, stored)
            else:
                step = _BLOCK // stored.itemsize
                for first in range(0, count, step):
                    part = values[first : first + step]
                    part[:] = np.frombuffer(source.read(len(part) * stored.itemsize), stored)
            source.check_end()
    except (OSError, ValueError, zlib.error) as error:
        raise ValueError(f"{place}: damaged ({error})") from error
    return values.reshape(array.shape, order="F")
