"""The cell types of unstructured meshes, under meshio's names."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

CELL_NODES = {
    "vertex": 1,
    "line": 2,
    "triangle": 3,
    "quad": 4,
    "tetra": 4,
    "pyramid": 5,
    "wedge": 6,
    "hexahedron": 8,
}
"""Nodes of each cell type."""

_RING3 = ((0, 1), (1, 2), (2, 0))
_RING4 = ((0, 1), (1, 2), (2, 3), (3, 0))

CELL_EDGES: dict[str, tuple[tuple[int, int], ...]] = {
    "vertex": (),
    "line": ((0, 1),),
    "triangle": _RING3,
    "quad": _RING4,
    "tetra": (*_RING3, (0, 3), (1, 3), (2, 3)),
    "pyramid": (*_RING4, (0, 4), (1, 4), (2, 4), (3, 4)),
    "wedge": (*_RING3, (3, 4), (4, 5), (5, 3), (0, 3), (1, 4), (2, 5)),
    "hexahedron": (
        *_RING4,
        *((4, 5), (5, 6), (6, 7), (7, 4)),
        *((0, 4), (1, 5), (2, 6), (3, 7)),
    ),
}
"""Edges of each cell type as pairs of its nodes, in VTK's node order."""


def check_node_numbers(name: str, index: NDArray[np.integer], num_nodes: int) -> None:
    """Refuses connectivity that names nodes which do not exist.

    Raises:
        ValueError: If a number is below 0 or not below ``num_nodes``.
    """
    if index.size and not (index.min() >= 0 and index.max() < num_nodes):
        raise ValueError(
            f"expected node numbers from 0 to {num_nodes - 1} in '{name}' "
            f"(got {index.min()} to {index.max()})"
        )


def edges_of_cells(cells: Mapping[str, NDArray[np.integer]], num_nodes: int) -> NDArray[np.int64]:
    """The edges of all cells in both directions, each once, [2, num_edges], as PyG wants them.

    Args:
        cells: Connectivity [E, nodes] by cell type.
        num_nodes: Number of nodes of the mesh.
    """
    pairs = [
        np.asarray(nodes, dtype=np.int64)[:, np.array(CELL_EDGES[kind])].reshape(-1, 2)
        for kind, nodes in cells.items()
        if CELL_EDGES[kind]
    ]
    ends = np.sort(np.concatenate([np.empty((0, 2), dtype=np.int64), *pairs]), axis=1)
    once = np.stack(np.divmod(np.unique(ends[:, 0] * num_nodes + ends[:, 1]), num_nodes))
    return np.concatenate([once, once[::-1]], axis=1)
