"""SciPy's reader of MAT files of versions 5 and 7, for the reader process."""

import os
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from scipy.io import loadmat, whosmat

from flare_mesh.io.mat import NUMERIC_CLASSES

_HEADER = 128
_BYTE_ORDERS: dict[bytes, Any] = {b"\x00\x01IM": "little", b"\x01\x00MI": "big"}


def read_mat_shapes(path: Path) -> dict[str, NDArray[np.int64]]:
    """Read the shapes of the numeric arrays of a file.

    Raises:
        ValueError: If it is not a MAT file of version 5 or 7, or is truncated.
    """
    with path.open("rb") as file:
        _check_end(file)
        listed = whosmat(file)
    numeric = {name: shape for name, shape, kind in listed if kind in NUMERIC_CLASSES}
    return {name: np.array(shape, np.int64) for name, shape in numeric.items()}


def read_mat_array(path: Path, name: str) -> dict[str, NDArray[Any]]:
    """Read one numeric array in single precision; values beyond its range become infinite.

    Raises:
        ValueError: If the array is missing, damaged or not real.
    """
    with path.open("rb") as file:
        values = loadmat(file, variable_names=[name])[name]
    if values.dtype.kind not in "biuf":
        raise ValueError(f"expected real numbers (got {values.dtype})")
    with np.errstate(over="ignore"):
        return {name: values.astype(np.float32)}


def _check_end(file: BinaryIO) -> None:
    """Refuse a truncated file; SciPy notices it only when it reads the last array."""
    order = _BYTE_ORDERS.get(file.read(_HEADER)[-4:])
    if order is None:
        raise ValueError("no header of a MAT file of version 5 or 7")
    at, end = _HEADER, file.seek(0, os.SEEK_END)
    while at < end:
        file.seek(at + 4)
        at += 8 + int.from_bytes(file.read(4), order)
    if at > end:
        raise ValueError(f"it has {end:,} bytes, but its arrays need {at:,}; it is truncated")
