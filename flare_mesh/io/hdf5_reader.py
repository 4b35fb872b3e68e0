"""HDF5 files that data sets hold open."""

import os
from pathlib import Path
from typing import Any

import h5py
from numpy.typing import NDArray

from flare_mesh.io.arrays import hdf5_dataset, open_hdf5, read_hdf5


class HDF5Reader:
    """An HDF5 file that each process opens on first use.

    Neither forked nor pickled copies share the file handle, so a data set with a reader can be
    passed to the worker processes of a loader.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._pid: int | None = None
        self._file: h5py.File | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["path"])

    @property
    def file(self) -> h5py.File:
        """The open file.

        Raises:
            FileNotFoundError: If the file does not exist.
            ValueError: If it is not a whole HDF5 file.
        """
        if self._file is None or self._pid != os.getpid():
            self._file, self._pid = open_hdf5(self.path), os.getpid()
        return self._file

    def dataset(self, name: str) -> h5py.Dataset:
        """A data set of the file; see :func:`~flare_mesh.io.arrays.hdf5_dataset`."""
        return hdf5_dataset(self.file, name)

    def read(self, name: str, selection: Any = ()) -> NDArray[Any]:
        """The values of a data set; see :func:`~flare_mesh.io.arrays.read_hdf5`."""
        return read_hdf5(self.dataset(name), selection)

    def close(self) -> None:
        """Close the file until it is used again."""
        if self._file is not None:
            self._file.close()
        self._file = None
