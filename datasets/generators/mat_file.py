"""Writer of MAT files of any size with little memory."""

import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flare_mesh.datasets.generators.samples import SampleStack

_CODES = {"f8": (6, 9), "f4": (7, 7)}  # classes of arrays and types of elements in MAT files
_CLASSES = {"f8": b"double", "f4": b"single"}
_MAX_V5_BYTES = 2**31 - 1


def write_mat(path: Path, arrays: Mapping[str, SampleStack | NDArray]) -> None:
    """Write arrays and stacks of samples as a MAT file of version 5, or 7.3 if one needs it.

    Version 5 holds at most 2 GB per array; version 7.3 is HDF5. The same arrays give the same
    bytes.

    Args:
        path: The file to write.
        arrays: Arrays of single or double precision, by their names in the file.
    """
    small = max(array.nbytes for array in arrays.values()) <= _MAX_V5_BYTES
    (_write_v5 if small else _write_v73)(path, arrays)


def mat_writer(*keys: str, **arrays: NDArray) -> Callable[[Path, Sequence[Path]], None]:
    """A function that writes a MAT file from the files of its samples.

    Args:
        keys: Names of the samples' arrays.
        arrays: Further arrays to write.
    """
    return lambda path, files: write_mat(path, {k: SampleStack(files, k) for k in keys} | arrays)


def _chunks(array: SampleStack | NDArray) -> Iterable[NDArray]:
    return array.chunks() if isinstance(array, SampleStack) else [np.asfortranarray(array)]


def _header(text: str, version: int) -> bytes:
    return struct.pack("<116s8xHH", text.encode().ljust(116), version, 0x4D49)


def _element(code: int, content: bytes) -> bytes:
    return struct.pack("<II", code, len(content)) + content + bytes(-len(content) % 8)


def _write_v5(path: Path, arrays: Mapping[str, SampleStack | NDArray]) -> None:
    with path.open("wb") as file:
        file.write(_header("MATLAB 5.0 MAT-file, written by flare_mesh", 0x0100))
        for name, array in arrays.items():
            kind, code = _CODES[array.dtype.str[1:]]
            head = _element(6, struct.pack("<II", kind, 0))
            head += _element(5, struct.pack(f"<{len(array.shape)}i", *array.shape))
            head += _element(1, name.encode())
            head += struct.pack("<II", code, array.nbytes)
            padding = -array.nbytes % 8
            file.write(struct.pack("<II", 14, len(head) + array.nbytes + padding) + head)
            for chunk in _chunks(array):
                file.write(chunk.T.data)  # Fortran order
            file.write(bytes(padding))


def _write_v73(path: Path, arrays: Mapping[str, SampleStack | NDArray]) -> None:
    import h5py

    with h5py.File(path, "w", userblock_size=512) as file:
        for name, array in arrays.items():
            # MATLAB's axes are the reverse of HDF5's.
            data = file.create_dataset(name, array.shape[::-1], array.dtype)
            data.attrs["MATLAB_class"] = np.bytes_(_CLASSES[array.dtype.str[1:]])
            start = 0
            for chunk in _chunks(array):
                data[start : start + chunk.shape[-1]] = chunk.T
                start += chunk.shape[-1]
    with path.open("r+b") as file:
        file.write(_header("MATLAB 7.3 MAT-file, written by flare_mesh", 0x0200))
