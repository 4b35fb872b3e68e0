"""Elements of I-deas universal files.

Source: universal dataset 2412 and its table of FE descriptors.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_mesh.io.readers.node_order import node_order
from flare_mesh.io.readers.number_text import read_numbers
from flare_mesh.io.readers.row_runs import run_length
from flare_mesh.mesh.cells import CELL_NODES

_Array = NDArray[Any]

_KINDS = {
    **dict.fromkeys((11, 21, 22), "line"),
    **dict.fromkeys((23, 24), "line3"),
    **dict.fromkeys((41, 51, 61, 74, 81, 91), "triangle"),
    **dict.fromkeys((42, 52, 62, 72, 82, 92), "triangle6"),
    **dict.fromkeys((44, 54, 64, 71, 84, 94), "quad"),
    **dict.fromkeys((45, 55, 65, 75, 85, 95), "quad8"),
    **{101: "wedge", 112: "wedge", 102: "wedge15", 113: "wedge15"},
    **{104: "hexahedron", 115: "hexahedron", 105: "hexahedron20", 116: "hexahedron20"},
    **{111: "tetra", 118: "tetra10"},
}
_BEAMS = (11, 21, 22, 23, 24)
# Rigid elements, springs, dampers, gaps and masses, which are no cells.
_NO_CELLS = (121, 122, 136, 137, 138, 139, 141, 142, 151, 152, 161)


def _ring(corners: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    """Corners of a face with the middles of the edges between them, around the face."""
    pairs = zip(corners, (*corners[1:], corners[0]), strict=True)
    return tuple(node for a, b in pairs for node in ((a,), (a, b)))


# Corners, and pairs of corners for the middles between them: rings of nodes around the faces below
# and above, and the middles of the edges between these.
_ORDERS = {
    "line3": ((0,), (0, 1), (1,)),
    "triangle6": _ring((0, 1, 2)),
    "quad8": _ring((0, 1, 2, 3)),
    "tetra10": (*_ring((0, 1, 2)), (0, 3), (1, 3), (2, 3), (3,)),
    "wedge15": (*_ring((0, 1, 2)), (0, 3), (1, 4), (2, 5), *_ring((3, 4, 5))),
    "hexahedron20": (*_ring((0, 1, 2, 3)), (0, 4), (1, 5), (2, 6), (3, 7), *_ring((4, 5, 6, 7))),
}


def read_elements(text: bytes, dataset: int) -> Iterator[tuple[str | None, _Array, _Array]]:
    """Elements of dataset 2412 or 780 in their order, one run of equal elements after the other.

    Returns:
        For each run: its cell type, None for elements that are no cells; the labels [E] and the
        nodes in VTK's order [E, nodes].

    Raises:
        ValueError: If the dataset is damaged, or an element is not supported.
    """
    values = read_numbers(text, f"dataset {dataset}", np.int64)
    head = 6 if dataset == 2412 else 8
    position = 0
    while position < len(values):
        if position + head > len(values):
            raise ValueError(f"dataset {dataset} has an incomplete element; it is damaged")
        descriptor, num_nodes = values[position + 1 : position + head : head - 2].tolist()
        kind = _kind(descriptor, num_nodes, int(values[position]))
        skipped = head + (3 if descriptor in _BEAMS else 0)  # beams have an orientation
        stride = skipped + num_nodes
        limit = (len(values) - position) // stride
        size = run_length(values[position:], stride, slice(1, head, head - 2), limit)
        if not size:
            raise ValueError(f"dataset {dataset} has an incomplete element; it is damaged")
        rows = values[position : position + size * stride].reshape(size, stride)
        nodes = rows[:, skipped:]
        if kind in _ORDERS:
            nodes = nodes[:, node_order(kind, _ORDERS[kind])]
        yield kind, rows[:, 0], nodes
        position += size * stride


def _kind(descriptor: int, num_nodes: int, label: int) -> str | None:
    kind = _KINDS.get(descriptor)
    if kind is None and descriptor not in _NO_CELLS:
        raise ValueError(
            f"element {label} has the FE descriptor {descriptor}, which is not supported; export "
            f"the mesh with elements of order 1 or 2"
        )
    if num_nodes < 1 or (kind is not None and num_nodes != CELL_NODES[kind]):
        raise ValueError(
            f"element {label} of FE descriptor {descriptor} has {num_nodes} nodes; it is damaged"
        )
    return kind
