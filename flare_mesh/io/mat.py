"""MAT files of MATLAB."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from flare_mesh.files import existing_file
from flare_mesh.io.array_cache import cached_npy_file
from flare_mesh.io.arrays import (
    HDF5_ERRORS,
    MAX_BYTES,
    check_ratio,
    check_size,
    hdf5_dataset,
    open_hdf5,
    read_hdf5,
)
from flare_mesh.io.reader_process import read_in_child

_BLOCK_BYTES = 1 << 30
_READER_BYTES = 1 << 27  # memory that SciPy's reader takes beside the values
_INTEGERS = (f"{u}int{n}" for u in ("", "u") for n in (8, 16, 32, 64))
NUMERIC_CLASSES = {"double", "single", "logical", *_INTEGERS}


class MatFile:
    """Numeric arrays of a MAT file, with their axes in MATLAB's order.

    Files of versions 5 and 7 are read by SciPy, whole arrays at a time. Files of version 7.3 are
    HDF5, with the axes in reverse order, and any part of an array can be read. Cells, structures,
    text and sparse arrays are not listed. The file may have any suffix.

    Attributes:
        shapes: Shape of each array, by name.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If it is not a whole MAT file.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = existing_file(path)
        self.shapes: dict[str, tuple[int, ...]]
        self._is_hdf5 = h5py.is_hdf5(self.path)
        if self._is_hdf5:
            with open_hdf5(self.path) as file:
                self.shapes = {name: data.shape[::-1] for name, data in _numeric(file)}
            return
        try:
            shapes = read_in_child("mat_shapes", self.path, max_memory=_READER_BYTES)
        except ValueError as error:
            raise ValueError(f"{self.path}: not a whole MAT file ({error})") from error
        self.shapes = {name: tuple(shape.tolist()) for name, shape in shapes.items()}

    def read(
        self, name: str, selection: Any = (), *, max_bytes: int = MAX_BYTES
    ) -> NDArray[np.floating | np.integer]:
        """Read an array, or the part of it that integers and slices select.

        Of version 7.3, only this part is read, with the stored type; of versions 5 and 7, the whole
        array in single precision.

        Raises:
            ValueError: If the array is missing, damaged or complex, or more than ``max_bytes``
                would be read.
        """
        shape = self.shape(name)
        if not self._is_hdf5:
            place = f"{self.path}, '{name}'"
            check_size(place, shape, np.dtype(np.float64), max_bytes)
            check_ratio(place, 4 * math.prod(shape), self.path.stat().st_size)
            try:
                # Twice in the stored precision, once in single precision.
                memory = _READER_BYTES + 20 * math.prod(shape)
                whole = read_in_child("mat_array", self.path, max_memory=memory, name=name)[name]
            except ValueError as error:
                raise ValueError(f"{place}: cannot be read ({error})") from error
            return whole[selection]
        with open_hdf5(self.path) as file:
            chosen = selection if isinstance(selection, tuple) else (selection,)
            chosen += (slice(None),) * (len(shape) - len(chosen))
            return read_hdf5(hdf5_dataset(file, name), chosen[::-1], max_bytes=max_bytes).T

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of an array.

        Raises:
            ValueError: If there is no array of this name.
        """
        if name not in self.shapes:
            raise ValueError(
                f"{self.path}: no array '{name}' of real numbers; it has {sorted(self.shapes)}"
            )
        return self.shapes[name]

    def rows(self, name: str) -> Iterator[NDArray]:
        """Read an array in chunks along its first axis."""
        shape = self.shape(name)
        if not self._is_hdf5:
            whole = self.read(name)
            yield from (whole[first : first + 64] for first in range(0, shape[0], 64))
            return
        with open_hdf5(self.path) as file:
            dataset = hdf5_dataset(file, name)
            row_bytes = max(1, math.prod(shape[1:]) * dataset.dtype.itemsize)
            step = max(1, _BLOCK_BYTES // row_bytes)
            # HDF5 decompresses whole chunks.
            chunk = dataset.chunks[-1] if dataset.chunks else 1
            if chunk * row_bytes <= 2 * _BLOCK_BYTES:
                step = -(-step // chunk) * chunk
            for first in range(0, shape[0], step):
                yield read_hdf5(dataset, (..., slice(first, first + step))).T


def _numeric(file: h5py.File) -> Iterator[tuple[str, h5py.Dataset]]:
    try:
        names = [str(name) for name in file]
    except HDF5_ERRORS as error:
        raise ValueError(f"{file.filename}: damaged ({error})") from error
    for name in names:
        try:
            dataset = hdf5_dataset(file, name)
            kind = dataset.attrs.get("MATLAB_class", b"double")
            # MATLAB stores the shape of an empty array as its values.
            empty = "MATLAB_empty" in dataset.attrs or not dataset.ndim
        except HDF5_ERRORS:
            continue
        if (kind.decode() if isinstance(kind, bytes) else kind) in NUMERIC_CLASSES and not empty:
            yield name, dataset


def mat_to_npy(path: str | Path, name: str, folder: str | Path) -> Path:
    """Convert an array of a MAT file to a cached npy file in single precision.

    MATLAB stores arrays in Fortran order, so a case, an index of the first axis, is spread over the
    whole file, in version 7.3 too. In the npy file a case is contiguous, and can be memory-mapped.
    Values beyond the range of single precision become infinite.

    Args:
        path: The MAT file.
        name: Name of the array.
        folder: Folder of the npy file; see :func:`~flare_mesh.io.array_cache.cached_npy_file`.

    Returns:
        Path of the npy file.

    Raises:
        FileNotFoundError: If the MAT file does not exist.
        ValueError: If it is damaged or has no such array.
    """
    path = existing_file(path)
    target = Path(folder) / f"{path.stem}-{name}-float32.npy"
    return cached_npy_file(target, [path], lambda npy: _save_npy(MatFile(path), name, npy))


def _save_npy(file: MatFile, name: str, path: Path) -> None:
    header = {"descr": "<f4", "fortran_order": False, "shape": file.shape(name)}
    with path.open("wb") as npy, np.errstate(over="ignore"):
        np.lib.format.write_array_header_1_0(npy, header)
        for block in file.rows(name):
            np.ascontiguousarray(block, dtype="<f4").tofile(npy)
