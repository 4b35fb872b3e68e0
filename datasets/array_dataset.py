"""Base of the data sets that are stored in a few large arrays."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from flare_mesh.choices import check_choice
from flare_mesh.data.splits import PublishedSplit
from flare_mesh.datasets.field_dataset import FieldDataset
from flare_mesh.io.arrays import open_npy
from flare_mesh.io.mat import mat_to_npy


class ArrayDataset(FieldDataset):
    """Base of the data sets whose cases are slices of a few npy files.

    The files are memory-mapped on first use in each process, and are never pickled or read whole.
    """

    SPLITS: ClassVar[Mapping[str, PublishedSplit]] = {}
    """Published splits, by the name of the convention."""
    files: Mapping[str, Path] = {}
    """Path of each npy file, by a name that the subclass chooses."""
    _open: Mapping[str, np.memmap] = {}

    def __getstate__(self) -> dict[str, Any]:
        # A pickled memory map is a copy of the whole file.
        return {**self.__dict__, "_open": {}}

    @property
    def field_names(self) -> list[str]:
        """Names of the inputs and targets, each once."""
        return [*dict.fromkeys((*self.inputs, *self.targets))]

    def array(self, name: str) -> np.memmap:
        """The array of a file, memory-mapped."""
        if name not in self._open:
            self._open = {**self._open, name: open_numbers(self.files[name])}
        return self._open[name]

    @classmethod
    def published_split(cls, convention: str) -> PublishedSplit:
        """The split of a convention.

        Raises:
            ValueError: If there is no such convention.
        """
        check_choice(f"{cls.__name__}: unknown convention", convention, cls.SPLITS)
        return cls.SPLITS[convention]

    def convert_mat(
        self, root: str | Path, source: Path, name: str, shape: Sequence[int | None]
    ) -> tuple[int, ...]:
        """Convert an array of a MAT file to one of the files, below ``root/processed``.

        Args:
            root: Folder of the data set.
            source: The MAT file.
            name: Name of the array.
            shape: Expected sizes; None for any.

        Returns:
            Its shape.

        Raises:
            ValueError: If it is missing, holds no real numbers, or has another shape.
        """
        path = mat_to_npy(source, name, Path(root) / "processed")
        self.files = {**self.files, name: path}
        found = open_numbers(path).shape
        check_shape(f"{source}, '{name}'", found, shape)
        return found


def open_numbers(path: Path, shape: Sequence[int | None] | None = None) -> np.memmap:
    """Memory-map an npy file of real numbers.

    Args:
        path: The file.
        shape: Expected sizes; None for any.

    Raises:
        ValueError: If it holds something else, or has another shape.
    """
    array = open_npy(path)
    if array.dtype.kind == "b":
        raise ValueError(f"{path}: expected real numbers (got {array.dtype})")
    if shape is not None:
        check_shape(str(path), array.shape, shape)
    return array


def check_shape(place: str, got: Sequence[int], expected: Sequence[int | None]) -> None:
    """Refuse an array of another shape; None in ``expected`` allows any size.

    Raises:
        ValueError: If it has another number of axes, another size, or no values at all.
    """
    fits = len(got) == len(expected) and all(
        have == want if want is not None else have > 0
        for have, want in zip(got, expected, strict=True)
    )
    if not fits:
        text = ", ".join("any" if want is None else str(want) for want in expected)
        raise ValueError(f"{place}: expected an array of shape [{text}] (got {list(got)})")


def float32_tensor(values: np.ndarray) -> Tensor:
    """A contiguous copy in single precision."""
    # Overflow becomes infinity, which FieldDataset refuses with the name of the case.
    with np.errstate(over="ignore"):
        return torch.from_numpy(np.array(values, dtype=np.float32, order="C"))
