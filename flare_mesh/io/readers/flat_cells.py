"""Cells of several types in the order of their file."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_mesh.mesh.cell_storage import VTK_CODES

_Array = NDArray[Any]


@dataclass(frozen=True)
class CellBlock:
    """Cells of one type.

    Attributes:
        kind: meshio's name of the type.
        nodes: [E, nodes].
        place: Place of each cell in the file, for example its line, [E].
        fields: Cell fields [E, ...] by name; the same names in all blocks.
    """

    kind: str
    nodes: NDArray[np.integer]
    place: NDArray[np.integer]
    fields: dict[str, _Array]


def flat_cells(blocks: Sequence[CellBlock]) -> dict[str, _Array]:
    """The arrays ``index``, ``offset``, ``types`` and ``cell:`` fields of ``vtk_arrays``.

    The cells are sorted by their places; cells of one place remain together.
    """
    blocks = [block for block in blocks if len(block.nodes)]
    if not blocks:
        whole = np.zeros(0, np.int64)
        return {"index": whole, "offset": np.zeros(1, np.int64), "types": whole.astype(np.uint8)}
    types = np.concatenate([np.full(len(b.nodes), VTK_CODES[b.kind], np.uint8) for b in blocks])
    sizes = np.concatenate([np.full(len(b.nodes), b.nodes.shape[1], np.int64) for b in blocks])
    index = np.empty(sum(block.nodes.size for block in blocks), np.int64)
    first = 0
    for block in blocks:
        index[first : first + block.nodes.size].reshape(block.nodes.shape)[:] = block.nodes
        first += block.nodes.size
    fields = {
        f"cell:{name}": np.concatenate([block.fields[name] for block in blocks])
        for name in blocks[0].fields
    }
    place = np.concatenate([block.place for block in blocks])
    if np.any(np.diff(place) < 0):
        order = np.argsort(place, kind="stable")
        starts = (np.cumsum(sizes) - sizes)[order]
        types, sizes = types[order], sizes[order]
        fields = {name: values[order] for name, values in fields.items()}
        within = np.arange(len(index)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        index = index[np.repeat(starts, sizes) + within]
    offset = np.concatenate([[0], np.cumsum(sizes)])
    return {"index": index, "offset": offset, "types": types, **fields}
