"""Cases of points in a folder: HDF5 files, or folders of npy files."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import h5py
from numpy.typing import NDArray

from flare_mesh.data.splits import split_names
from flare_mesh.io.arrays import HDF5_ERRORS, hdf5_dataset, open_hdf5, open_npy

_SUFFIXES = (".h5", ".hdf5")


class PointCase:
    """The named arrays of a case, each opened on demand and none of them read.

    Args:
        path: Path of the case.
        file: The open file, if it is an HDF5 file.
    """

    def __init__(self, path: Path, file: h5py.File | None = None) -> None:
        self.path = path
        self._file = file

    def array(self, name: str) -> NDArray[Any] | h5py.Dataset:
        """An array of real numbers, which stays on the disk.

        Args:
            name: Path of a data set in the file, or of an npy file in the folder, without its
                suffix.

        Raises:
            ValueError: If it is missing or holds something else.
        """
        if self._file is not None:
            return hdf5_dataset(self._file, name)
        path = self.path / f"{name}.npy"
        if not path.is_file():
            raise ValueError(f"{self.path}, '{name}': not there; it has {self._npy_names()}")
        return open_npy(path)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes of all usable arrays, by name."""
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
    """Open a case.

    Raises:
        FileNotFoundError: If it does not exist.
        ValueError: If it is a file, and not a complete HDF5 file.
    """
    if path.is_dir():
        yield PointCase(path)
    else:
        with open_hdf5(path) as file:
            yield PointCase(path, file)


def find_cases(
    root: str | Path, split: str, *, fractions: Mapping[str, float] | None = None, seed: int = 0
) -> tuple[Path, dict[str, str]]:
    """The folder of a split's cases, and their files by name in sorted order; opens no file.

    The folder is ``root/split`` if ``root`` has folders of splits: at least one that is called
    ``split``, ``"train"`` or ``"test"``. Otherwise :func:`~flare_mesh.data.splits.split_names`
    divides the cases in ``root``. Names that begin with a dot are ignored.

    Args:
        root: Folder of the cases, or of a folder for each split.
        split: Name of the split.
        fractions: Share of each split, if they have no folders.
        seed: Seed of the split, likewise.

    Raises:
        FileNotFoundError: If there is no such folder, or no case in it.
        ValueError: If two cases have the same name, ``fractions`` are given although the splits
            have folders, or there are too few cases.
    """
    root = Path(root)
    if not root.is_dir():
        raise FileNotFoundError(f"{root}: no such folder")
    divided = any((root / name).is_dir() for name in (split, "train", "test"))
    folder = root / split if divided else root
    if divided and fractions is not None:
        raise ValueError(
            f"{root}: its splits have folders already; leave out 'fractions', or give the path of "
            f"a folder with cases alone"
        )
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder, while other splits have one")
    cases = _list_cases(folder)
    if not cases:
        raise FileNotFoundError(
            f"{folder}: no cases there; expected files <case>.h5 or <case>.hdf5, or folders <case>"
        )
    if divided:
        return folder, dict(sorted(cases.items()))
    try:
        names = split_names([*cases], split, fractions, seed=seed)
    except ValueError as error:
        raise ValueError(f"{root}: {error}") from error
    if not names:
        raise ValueError(f"{root}: {len(cases)} cases are too few to have one in split '{split}'")
    return folder, {name: cases[name] for name in names}


def _list_cases(folder: Path) -> dict[str, str]:
    cases: dict[str, str] = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            name, suffix = os.path.splitext(entry.name)
            if entry.is_dir():
                name = entry.name
            elif suffix not in _SUFFIXES:
                continue
            if entry.name.startswith("."):
                continue
            if name in cases:
                both = sorted([cases[name], entry.name])
                raise ValueError(f"{folder}: {both} are cases of the same name; rename one")
            cases[name] = entry.name
    return cases
