"""Cells of surfaces whose faces have different numbers of corners."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_mesh.io.readers.flat_cells import CellBlock

_KINDS = {1: "vertex", 2: "line", 3: "triangle", 4: "quad"}


def surface_cells(
    corners: NDArray[np.integer],
    counts: NDArray[np.integer],
    place: NDArray[np.integer],
    fields: dict[str, NDArray[Any]],
    what: str = "line",
) -> list[CellBlock]:
    """Vertices, lines, triangles and quads.

    Args:
        corners: Corners of all faces.
        counts: Number of corners of each face, [F].
        place: Place of each face in the file, [F].
        fields: Fields [F, ...] by name.
        what: What a place is, for the error.

    Raises:
        ValueError: If a face has no corners or more than four.
    """
    wrong = (counts < 1) | (counts > 4)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise ValueError(
            f"{what} {place[row]}: expected faces of 1 to 4 corners (got {counts[row]}, the first "
            f"of {int(wrong.sum())} such faces); divide polygons into triangles when exporting it"
        )
    starts = np.cumsum(counts) - counts
    blocks = []
    for count in np.unique(counts).tolist():
        rows = np.flatnonzero(counts == count)
        nodes = corners[starts[rows, None] + np.arange(count)]
        own = {name: values[rows] for name, values in fields.items()}
        blocks.append(CellBlock(_KINDS[count], nodes, place[rows], own))
    return blocks
