"""HDF5 files that data sets keep open."""

import os
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import h5py
from numpy.typing import NDArray

from flare_mesh.io.arrays import hdf5_dataset, open_hdf5, read_hdf5


class HDF5Reader:
    """An HDF5 file that each process opens on first use and keeps open.

    A handle that crosses a fork is not used, and none is pickled, so that a data set that holds a
    reader can go to a loader's worker processes.

    Args:
        path: The file.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._pid: int | None = None
        self._stack = ExitStack()
        self._file: h5py.File | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["path"])

    @property
    def file(self) -> h5py.File:
        """The open file.

        Raises:
            FileNotFoundError: If there is none.
            ValueError: If it is not a whole HDF5 file.
        """
        if self._file is None or self._pid != os.getpid():
            self._stack = ExitStack()
            self._file = self._stack.enter_context(open_hdf5(self.path))
            self._pid = os.getpid()
        return self._file

    def dataset(self, name: str) -> h5py.Dataset:
        """A data set of the file, not yet read.

        Raises:
            ValueError: If it is missing, is not an array of numbers, or lies in another file.
        """
        return hdf5_dataset(self.file, name)

    def read(self, name: str, selection: Any = ()) -> NDArray[Any]:
        """What ``selection``, integers and slices, takes of a data set.

        Raises:
            ValueError: If the data set cannot be read.
        """
        return read_hdf5(self.dataset(name), selection)

    def close(self) -> None:
        """Closes the file; it opens again when it is needed."""
        self._stack.close()
        self._file = None
