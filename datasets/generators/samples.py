"""Samples in one file each, and stacks of samples that exceed the memory."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flare_mesh.files import atomic_path

_FILES_AT_A_TIME = 64


def write_sample(path: Path, arrays: Mapping[str, NDArray]) -> None:
    """Write the arrays of a sample atomically; the same arrays give the same bytes."""
    with atomic_path(path) as temporary:
        np.savez(temporary, allow_pickle=False, **arrays)


class SampleStack:
    """One array of many samples, stacked along the first axis and read in chunks.

    Args:
        files: The samples' files.
        key: Name of the array in each file.
        max_bytes: Size of the chunks.

    Attributes:
        shape: [samples, ...].
        dtype: Type of the values.

    Raises:
        ValueError: If the samples differ in shape or type.
    """

    def __init__(self, files: Sequence[Path], key: str, *, max_bytes: int = 1 << 27) -> None:
        self._files = files
        self._key = key
        self._max_bytes = max_bytes
        first = self._read(files[0])
        self.shape = (len(files), *first.shape)
        self.dtype = first.dtype

    @property
    def nbytes(self) -> int:
        return int(np.prod(self.shape)) * self.dtype.itemsize

    def chunks(self) -> Iterator[NDArray]:
        """Consecutive chunks along the last axis, [samples, ..., n], in Fortran order.

        Their concatenation is the whole stack in Fortran order.
        """
        last = self.shape[-1]
        width = max(1, self._max_bytes * last // self.nbytes)
        for start in range(0, last, width):
            stop = min(start + width, last)
            chunk = np.empty((*self.shape[:-1], stop - start), self.dtype, order="F")
            # Several files at a time, so that adjacent memory is written together.
            for i in range(0, len(self._files), _FILES_AT_A_TIME):
                files = self._files[i : i + _FILES_AT_A_TIME]
                chunk[i : i + _FILES_AT_A_TIME] = [
                    self._read(file, self.shape[1:])[..., start:stop] for file in files
                ]
            yield chunk

    def _read(self, file: Path, shape: tuple[int, ...] | None = None) -> NDArray:
        with np.load(file, allow_pickle=False) as sample:
            array = sample[self._key]
        if shape is not None and (array.shape != shape or array.dtype != self.dtype):
            raise ValueError(
                f"{file}: expected '{self._key}' of shape {list(shape)} and type {self.dtype} "
                f"(got {list(array.shape)}, {array.dtype}); remove the file"
            )
        return array
