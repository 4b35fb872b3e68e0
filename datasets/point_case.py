"""One case of points: an HDF5 file, or a folder of npy files."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import h5py
from numpy.typing import NDArray

from flare_mesh.io.arrays import HDF5_ERRORS, hdf5_dataset, open_hdf5, open_npy

SUFFIXES = (".h5", ".hdf5")
"""Ends of the names of cases that are HDF5 files."""


class PointCase:
    """The named arrays of a case, each opened when it is asked for, and none of them read.

    Args:
        path: Path of the case.
        file: The open file, if it is an HDF5 file.
    """

    def __init__(self, path: Path, file: h5py.File | None = None) -> None:
        self.path = path
        self._file = file

    def array(self, name: str) -> NDArray[Any] | h5py.Dataset:
        """An array of real numbers, on the disk.

        Args:
            name: Path of a data set in the file, or of an npy file in the folder, without its end.

        Raises:
            ValueError: If it is missing or holds something else.
        """
        if self._file is not None:
            return hdf5_dataset(self._file, name)
        path = self.path / f"{name}.npy"
        if not path.is_file():
            raise ValueError(f"{self.path}, '{name}': not there; it has {self._npy_names()}")
        array = open_npy(path)
        if array.dtype.kind not in "biuf":
            raise ValueError(f"{path}: expected an array of numbers (got {array.dtype})")
        return array

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes of all arrays that can be used, by name."""
        names = self._npy_names() if self._file is None else self._hdf5_names(self._file)
        shapes = {}
        for name in names:
            with suppress(ValueError):  # a group, text, or damaged
                shapes[name] = self.array(name).shape
        return shapes

    def _hdf5_names(self, file: h5py.File) -> list[str]:
        names: list[str] = []
        try:
            file.visit(names.append)
        except HDF5_ERRORS as error:
            raise ValueError(f"{self.path}: damaged ({error})") from error
        return names

    def _npy_names(self) -> list[str]:
        names = [p.relative_to(self.path) for p in self.path.rglob("*.npy")]
        return sorted(p.with_suffix("").as_posix() for p in names if not p.name.startswith("."))


@contextmanager
def open_case(path: Path) -> Iterator[PointCase]:
    """Opens a case.

    Raises:
        FileNotFoundError: If it is not there any more.
        ValueError: If it is a file, and not a whole HDF5 file.
    """
    if path.is_dir():
        yield PointCase(path)
    else:
        with open_hdf5(path) as file:
            yield PointCase(path, file)
