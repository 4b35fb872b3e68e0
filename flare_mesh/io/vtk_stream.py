"""The bytes of one array of a VTK XML file."""

import binascii
import mmap
import zlib

import numpy as np

_MAX_RATIO = 1100  # beyond what zlib can reach


class ArrayStream:
    """Bytes of one array, raw or in base64, with the words about its size before them.

    Args:
        mapped: The file.
        at: Where the array begins in it.
        end: Where its data must end.
        raw: Whether they are stored as they are; otherwise in base64.
        word: Type of the words about the size.
    """

    def __init__(self, mapped: mmap.mmap, at: int, end: int, raw: bool, word: np.dtype) -> None:
        self._view = memoryview(mapped)[:end]
        self._at, self._raw, self._word = at, raw, word

    def _take(self, size: int, *, ahead: int = 0) -> memoryview:
        """The next ``size`` bytes; ``ahead`` bytes stay to be taken again."""
        length = size if self._raw else (size + 2) // 3 * 4
        if length > len(self._view) - self._at:
            raise ValueError("its data ends too early; the file is truncated")
        part = self._view[self._at : self._at + length]
        self._at += 0 if ahead else length
        return part if self._raw else memoryview(binascii.a2b_base64(part))[:size]

    def _words(self, count: int, *, ahead: bool = False) -> list[int]:
        size = count * self._word.itemsize
        taken = self._take(size, ahead=size if ahead else 0)
        if len(taken) != size:
            raise ValueError("its header is not whole")
        return [int(value) for value in np.frombuffer(taken, self._word)]

    def plain(self, limit: int) -> memoryview:
        """What is stored without compression.

        Raises:
            ValueError: If it declares more than ``limit`` bytes, or is not whole.
        """
        head = self._word.itemsize
        (size,) = self._words(1, ahead=True)
        if size > limit:
            raise ValueError(f"declares {size:,} bytes, expected at most {limit:,}")
        if self._raw:
            self._at += head
            return self._take(size)
        # VTK encodes the header and the data as one; others each by itself, padded.
        chars = (head + 2) // 3 * 4
        if size and b"=" in bytes(self._view[self._at : self._at + chars]):
            self._at += chars
            return self._take(size)
        return self._take(head + size)[head:]

    def compressed(self, limit: int) -> memoryview:
        """What is stored in blocks that zlib compressed.

        Raises:
            ValueError: If it declares more than ``limit`` bytes, or is not whole.
        """
        blocks, block, last = self._words(3, ahead=True)
        size = (blocks - bool(last)) * block + last if blocks else 0
        left = len(self._view) - self._at
        if size > min(limit, _MAX_RATIO * left):
            raise ValueError(
                f"declares {size:,} bytes, expected at most {min(limit, _MAX_RATIO * left):,}"
            )
        if blocks * self._word.itemsize > left:
            raise ValueError("its data ends too early; the file is truncated")
        packed_sizes = self._words(3 + blocks)[3:]
        packed = self._take(sum(packed_sizes))
        out, at, source = bytearray(size), 0, 0
        for number, packed_size in enumerate(packed_sizes):
            wanted = last if last and number == blocks - 1 else block
            part = zlib.decompressobj().decompress(
                packed[source : source + packed_size], wanted + 1
            )
            if len(part) != wanted:
                raise ValueError(f"block {number} holds another number of bytes than declared")
            out[at : at + wanted] = part
            at, source = at + wanted, source + packed_size
        return memoryview(out)
