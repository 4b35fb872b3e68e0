"""Numbers in a section of a MSH file, read one group after another."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_mesh.io.readers.gmsh_sections import MshFile
from flare_mesh.io.readers.number_text import read_numbers

_Array = NDArray[Any]
_LARGEST = 2.0**53  # up to which a double holds every integer


class SectionNumbers(ABC):
    """Numbers of a section; every method raises a ValueError if the section has fewer."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._next = 0

    @abstractmethod
    def reals(self, count: int) -> _Array:
        """The next real numbers."""

    @abstractmethod
    def ints(self, count: int) -> _Array:
        """The next integers."""

    @abstractmethod
    def sizes(self, count: int) -> _Array:
        """The next integers of C's type ``size_t``."""

    @abstractmethod
    def finish(self) -> None:
        """Refuse numbers that were not read."""

    def size(self) -> int:
        """The next integer of C's type ``size_t``."""
        return int(self.sizes(1)[0])

    def _advance(self, size: int, end: int) -> int:
        start = self._next
        if not 0 <= size <= end - start:
            raise ValueError(f"${self._name} has fewer numbers than it declares; it is damaged")
        self._next = start + size
        return start

    def _check_end(self, at_end: bool) -> None:
        if not at_end:
            raise ValueError(f"${self._name} has more numbers than it declares; it is damaged")


class TextNumbers(SectionNumbers):
    """Numbers of a section of a text file.

    Args:
        text: Content of the section.
        name: Name of the section.
        whole: Whether all numbers are integers.
    """

    def __init__(self, text: bytes, name: str, *, whole: bool = False) -> None:
        super().__init__(name)
        self._values = read_numbers(text, f"${name}", np.int64 if whole else float)

    def reals(self, count: int) -> _Array:
        """The next real numbers."""
        start = self._advance(count, len(self._values))
        return self._values[start : self._next]

    def ints(self, count: int) -> _Array:
        """The next integers."""
        values = self.reals(count)
        if values.dtype.kind == "i":
            return values
        if not ((values == np.floor(values)) & (np.abs(values) <= _LARGEST)).all():
            raise ValueError(f"expected integers in ${self._name}; it is damaged")
        return values.astype(np.int64)

    def sizes(self, count: int) -> _Array:
        """The next integers, as all integers of a text file."""
        return self.ints(count)

    def finish(self) -> None:
        """Refuse numbers that were not read."""
        self._check_end(self._next == len(self._values))


class BinaryNumbers(SectionNumbers):
    """Numbers of a section of a binary file."""

    def __init__(self, content: bytes, name: str, file: MshFile) -> None:
        super().__init__(name)
        self._content = content
        self._int = np.dtype(f"{file.order}i4")
        self._real = np.dtype(f"{file.order}f8")
        # A size beyond the signed integers is negative, which is refused.
        self._size = np.dtype(f"{file.order}{'i8' if file.data_size == 8 else 'u4'}")

    def _take(self, count: int, dtype: np.dtype[Any]) -> _Array:
        start = self._advance(count * dtype.itemsize, len(self._content))
        return np.frombuffer(self._content, dtype, count, start)

    def reals(self, count: int) -> _Array:
        """The next real numbers."""
        return self._take(count, self._real)

    def ints(self, count: int) -> _Array:
        """The next integers."""
        return self._take(count, self._int)

    def sizes(self, count: int) -> _Array:
        """The next integers of C's type ``size_t``."""
        return self._take(count, self._size).astype(np.int64, copy=False)

    def finish(self) -> None:
        """Refuse bytes that were not read."""
        self._check_end(not self._content[self._next :].strip())


def section_numbers(file: MshFile, name: str, *, whole: bool = False) -> SectionNumbers | None:
    """Numbers of a section of a file of version 4; None if there is no such section."""
    content = file.section(name)
    if content is None:
        return None
    if file.order is None:
        return TextNumbers(content, name, whole=whole)
    return BinaryNumbers(content, name, file)
