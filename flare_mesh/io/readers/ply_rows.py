"""Rows of PLY files."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_mesh.io.readers.ply_header import PLYElement


@dataclass(frozen=True)
class PLYRows:
    """Values of an element's rows.

    Attributes:
        numbers: The properties of one number, [count] by name.
        lists: The lists by name: all their values, and the length of each, [count].
    """

    numbers: dict[str, NDArray[Any]]
    lists: dict[str, tuple[NDArray[Any], NDArray[np.int64]]]


def ranges(starts: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """The numbers from each start on, one range after the other."""
    before = np.cumsum(counts) - counts
    return np.repeat(starts - before, counts) + np.arange(counts.sum())


def cut_off(element: PLYElement, got: str) -> ValueError:
    """The error of an element whose rows are not all in the file."""
    return ValueError(
        f"it declares {element.count:,} rows of '{element.name}', but is cut off ({got})"
    )
