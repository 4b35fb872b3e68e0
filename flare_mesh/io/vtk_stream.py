"""Decoding of the arrays of VTK's XML files."""

import binascii
import mmap
import zlib

import numpy as np

_MAX_RATIO = 1100  # zlib compresses by at most 1032


class ArrayStream:
    """Bytes of one array, raw or in base64, behind a header of words with its size.

    Args:
        mapped: The file.
        at: Offset of the array in the file.
        end: Offset that the array must not exceed.
        raw: Whether the array is stored raw; otherwise in base64.
        word: Type of the words of the header.
    """

    def __init__(self, mapped: mmap.mmap, at: int, end: int, raw: bool, word: np.dtype) -> None:
        self._view = memoryview(mapped)[:end]
        self._at, self._raw, self._word = at, raw, word

    def _take(self, size: int, *, peek: bool = False) -> memoryview:
        """Read the next ``size`` bytes, and consume them unless ``peek``."""
        length = size if self._raw else (size + 2) // 3 * 4
        if length > len(self._view) - self._at:
            raise ValueError("its data ends too early; the file is truncated")
        part = self._view[self._at : self._at + length]
        self._at += 0 if peek else length
        return part if self._raw else memoryview(binascii.a2b_base64(part))[:size]

    def _words(self, count: int, *, peek: bool = False) -> list[int]:
        size = count * self._word.itemsize
        taken = self._take(size, peek=peek)
        if len(taken) != size:
            raise ValueError("its header ends too early; the file is truncated")
        return [int(value) for value in np.frombuffer(taken, self._word)]

    def plain(self, limit: int) -> memoryview:
        """Read the bytes of an uncompressed array.

        Raises:
            ValueError: If it declares more than ``limit`` bytes, or is truncated.
        """
        head = self._word.itemsize
        (size,) = self._words(1, peek=True)
        if size > limit:
            raise ValueError(f"declares {size:,} bytes, expected at most {limit:,}")
        if self._raw:
            self._at += head
            return self._take(size)
        # VTK encodes header and data together; other programs encode them one by one, padded.
        chars = (head + 2) // 3 * 4
        if size and b"=" in bytes(self._view[self._at : self._at + chars]):
            self._at += chars
            return self._take(size)
        return self._take(head + size)[head:]

    def compressed(self, limit: int) -> memoryview:
        """Read the bytes of an array in blocks that are compressed by zlib.

        Raises:
            ValueError: If it declares more than ``limit`` bytes, or is damaged.
        """
        blocks, block, last = self._words(3, peek=True)
        size = (blocks - bool(last)) * block + last if blocks else 0
        left = len(self._view) - self._at
        limit = min(limit, _MAX_RATIO * left)
        if size > limit:
            raise ValueError(f"declares {size:,} bytes, expected at most {limit:,}")
        if blocks * self._word.itemsize > left:
            raise ValueError("its data ends too early; the file is truncated")
        packed_sizes = self._words(3 + blocks)[3:]
        packed = self._take(sum(packed_sizes))
        out, at, source = bytearray(size), 0, 0
        for number, packed_size in enumerate(packed_sizes):
            wanted = last if last and number == blocks - 1 else block
            block_bytes = packed[source : source + packed_size]
            part = zlib.decompressobj().decompress(block_bytes, wanted + 1)
            if len(part) != wanted:
                raise ValueError(f"expected {wanted:,} bytes in block {number} (got more or fewer)")
            out[at : at + wanted] = part
            at, source = at + wanted, source + packed_size
        return memoryview(out)
