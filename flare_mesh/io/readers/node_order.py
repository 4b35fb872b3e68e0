"""Node orders of file formats."""

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from flare_mesh.mesh.cells import CELL_TYPES


def node_order(kind: str, nodes: Sequence[tuple[int, ...]]) -> NDArray[np.int64]:
    """Columns of a format's connectivity in the order of :data:`~flare_mesh.mesh.cells.CELL_TYPES`.

    Args:
        kind: Cell type by meshio's name.
        nodes: For each node in the order of the format, the corners, numbered as in ``CELL_TYPES``,
            in whose middle it lies: one for a corner, two on an edge, and so on.
    """
    return np.array(_order(kind, tuple(nodes)))


@cache
def _order(kind: str, nodes: tuple[tuple[int, ...], ...]) -> tuple[int, ...]:
    reference = CELL_TYPES[kind].reference
    corners = np.array(reference[: CELL_TYPES[CELL_TYPES[kind].linear].num_nodes])
    middles = [tuple(corners[list(group)].mean(axis=0).tolist()) for group in nodes]
    return tuple(middles.index(tuple(map(float, point))) for point in reference)
