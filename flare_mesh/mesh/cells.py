"""Cell types of unstructured meshes: meshio's names, VTK's node order, faces and edges."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class CellType:
    """Geometry and connectivity of one type of cell.

    Local nodes are numbered as in VTK: corners, then the middles of edges, faces and the cell.
    Wedges are oriented as in meshio: the normal of the corners 0, 1, 2 points to the corners
    3, 4, 5 (VTK's versions have both orientations). VTK has no ``pyramid14``, which is
    ``pyramid13`` with the middle of the base.

    Attributes:
        name: meshio's name.
        num_nodes: Number of nodes.
        dim: Dimension, 0 to 3.
        order: Order of the shape functions: 1, or 2 with middle nodes.
        linear: Name of the type of order 1 with the same corners.
        edges: Pairs of local nodes, the graph of a cell. With middle nodes, an edge is split at its
            middle, and the middle of a face or cell is connected to the middles around it.
        faces: Type and local nodes of each face, pointing outward in a cell of positive measure.
            A surface cell has lines as faces, with the cell on their left; a line has its ends.
        reference: Coordinates of the nodes in the reference cell, from 0 to 1; the apex of a
            pyramid is (0, 0, 1).
    """

    name: str
    num_nodes: int
    dim: int
    order: int
    linear: str
    edges: tuple[tuple[int, int], ...]
    faces: tuple[tuple[str, tuple[int, ...]], ...]
    reference: tuple[tuple[float, ...], ...]


def _ring(corners: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    if len(corners) < 3:
        return ((corners[0], corners[1]),) if len(corners) == 2 else ()
    return tuple(zip(corners, (*corners[1:], corners[0]), strict=True))


# Type of a face by its numbers of corners and nodes.
_FACES = {
    **{(1, 1): "vertex", (2, 2): "line", (3, 3): "triangle", (4, 4): "quad"},
    **{(2, 3): "line3", (3, 6): "triangle6", (4, 8): "quad8", (4, 9): "quad9"},
}


def _first_order(
    name: str,
    reference: tuple[tuple[float, ...], ...],
    edges: tuple[tuple[int, int], ...],
    faces: tuple[tuple[int, ...], ...],
) -> CellType:
    typed = tuple((_FACES[len(face), len(face)], face) for face in faces)
    return CellType(name, len(reference), len(reference[0]), 1, name, edges, typed, reference)


def _second_order(
    name: str, base: CellType, centred: tuple[int, ...] = (), middle: bool = False
) -> CellType:
    """``base`` with nodes on its edges, on the faces ``centred`` and, if ``middle``, inside."""
    count = base.num_nodes
    on_edge = {frozenset(edge): count + i for i, edge in enumerate(base.edges)}
    count += len(on_edge)
    on_face = {frozenset(base.faces[face][1]): count + i for i, face in enumerate(centred)}
    count += len(on_face)

    edges, faces = [], []
    for a, b in base.edges:
        edges += [(a, on_edge[frozenset((a, b))]), (on_edge[frozenset((a, b))], b)]
    for _, corners in base.faces:
        around = tuple(on_edge[frozenset(edge)] for edge in _ring(corners))
        centre = on_face.get(frozenset(corners))
        nodes = (*corners, *around, *(() if centre is None else (centre,)))
        faces.append((_FACES[len(corners), len(nodes)], nodes))
        edges += [(side, centre) for side in around if centre is not None]
        if middle:
            edges.append((nodes[-1], count))

    groups = [*on_edge, *on_face, *([range(base.num_nodes)] if middle else [])]
    corners = np.array(base.reference)
    middles = [tuple(corners[sorted(group)].mean(axis=0).tolist()) for group in groups]
    reference = (*base.reference, *middles)
    return CellType(
        name, len(reference), base.dim, 2, base.name, tuple(edges), tuple(faces), reference
    )


_RING3 = _ring((0, 1, 2))
_RING4 = _ring((0, 1, 2, 3))
_SQUARE = ((0, 0), (1, 0), (1, 1), (0, 1))

_VERTEX = _first_order("vertex", ((),), (), ())
_LINE = _first_order("line", ((0,), (1,)), ((0, 1),), ((0,), (1,)))
_TRIANGLE = _first_order("triangle", ((0, 0), (1, 0), (0, 1)), _RING3, _RING3)
_QUAD = _first_order("quad", _SQUARE, _RING4, _RING4)
_TETRA = _first_order(
    "tetra",
    ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)),
    (*_RING3, (0, 3), (1, 3), (2, 3)),
    ((0, 1, 3), (1, 2, 3), (2, 0, 3), (0, 2, 1)),
)
_PYRAMID = _first_order(
    "pyramid",
    (*((x, y, 0) for x, y in _SQUARE), (0, 0, 1)),
    (*_RING4, (0, 4), (1, 4), (2, 4), (3, 4)),
    ((0, 3, 2, 1), (0, 1, 4), (1, 2, 4), (2, 3, 4), (3, 0, 4)),
)
_WEDGE = _first_order(
    "wedge",
    tuple((x, y, z) for z in (0, 1) for x, y in ((0, 0), (1, 0), (0, 1))),
    (*_RING3, (3, 4), (4, 5), (5, 3), (0, 3), (1, 4), (2, 5)),
    ((0, 2, 1), (3, 4, 5), (0, 1, 4, 3), (1, 2, 5, 4), (2, 0, 3, 5)),
)
_HEXAHEDRON = _first_order(
    "hexahedron",
    tuple((x, y, z) for z in (0, 1) for x, y in _SQUARE),
    (*_RING4, (4, 5), (5, 6), (6, 7), (7, 4), (0, 4), (1, 5), (2, 6), (3, 7)),
    ((0, 4, 7, 3), (1, 2, 6, 5), (0, 1, 5, 4), (3, 7, 6, 2), (0, 3, 2, 1), (4, 5, 6, 7)),
)

CELL_TYPES: dict[str, CellType] = {
    cell.name: cell
    for cell in (
        *(_VERTEX, _LINE, _TRIANGLE, _QUAD, _TETRA, _PYRAMID, _WEDGE, _HEXAHEDRON),
        _second_order("line3", _LINE),
        _second_order("triangle6", _TRIANGLE),
        _second_order("quad8", _QUAD),
        _second_order("quad9", _QUAD, middle=True),
        _second_order("tetra10", _TETRA),
        _second_order("pyramid13", _PYRAMID),
        _second_order("pyramid14", _PYRAMID, centred=(0,)),
        _second_order("wedge15", _WEDGE),
        _second_order("wedge18", _WEDGE, centred=(2, 3, 4)),
        _second_order("hexahedron20", _HEXAHEDRON),
        _second_order("hexahedron27", _HEXAHEDRON, centred=(0, 1, 2, 3, 4, 5), middle=True),
    )
}
"""Every supported cell type by meshio's name."""

CELL_NODES = {name: cell.num_nodes for name, cell in CELL_TYPES.items()}
"""Number of nodes of each cell type."""

CELL_EDGES = {name: cell.edges for name, cell in CELL_TYPES.items()}
"""Edges of each cell type as pairs of its nodes, in VTK's node order."""

FACE_SIMPLICES: dict[str, tuple[tuple[int, ...], ...]] = {
    "line": ((0, 1),),
    "line3": ((0, 2), (2, 1)),
    "triangle": ((0, 1, 2),),
    "quad": ((0, 1, 2), (0, 2, 3)),
    "triangle6": ((0, 3, 5), (3, 1, 4), (5, 4, 2), (3, 4, 5)),
    "quad8": ((0, 4, 7), (4, 1, 5), (5, 2, 6), (6, 3, 7), (4, 5, 6), (4, 6, 7)),
    "quad9": tuple((a, b, 8) for a, b in CELL_EDGES["quad9"][:8]),
}
"""Lines or triangles that approximate each type of face, through its middle nodes."""


@cache
def reflected_order(kind: str) -> tuple[int, ...]:
    """Node order that preserves the orientation of a cell when its coordinates are reflected.

    It swaps the first two reference coordinates of the cell; of a line it reverses the only one.
    """
    reference = CELL_TYPES[kind].reference
    place = {point: number for number, point in enumerate(reference)}
    if CELL_TYPES[kind].dim == 1:
        return tuple(place[(1 - point[0],)] for point in reference)
    return tuple(place[point[1::-1] + point[2:]] for point in reference)


def check_node_numbers(name: str, index: Any, num_nodes: int) -> None:
    """Refuse connectivity, an array or tensor, with node numbers that do not exist.

    Raises:
        ValueError: If a number is negative or not below ``num_nodes``.
    """
    if 0 not in index.shape and not (index.min() >= 0 and index.max() < num_nodes):
        raise ValueError(
            f"expected node numbers from 0 to {num_nodes - 1} in '{name}' "
            f"(got {index.min()} to {index.max()})"
        )


def check_cells(cells: Mapping[str, Any], num_nodes: int | None = None) -> None:
    """Refuse invalid tables of cells, arrays or tensors [E, nodes] by type.

    Raises:
        ValueError: If a type is unknown, its connectivity has another shape or is not of integers,
            or a node number is not below ``num_nodes``, if that is given.
    """
    for kind, nodes in cells.items():
        if kind not in CELL_TYPES:
            raise ValueError(
                f"cells of type '{kind}' are not supported; expected one of {', '.join(CELL_TYPES)}"
            )
        shape = list(nodes.shape)
        if len(shape) != 2 or shape[1] != CELL_NODES[kind] or "int" not in str(nodes.dtype):
            raise ValueError(
                f"expected '{kind}' as integers of shape [cells, {CELL_NODES[kind]}] "
                f"(got {shape} of {nodes.dtype})"
            )
        if num_nodes is not None:
            check_node_numbers(kind, nodes, num_nodes)


def edges_of_cells(cells: Mapping[str, NDArray[np.integer]], num_nodes: int) -> NDArray[np.int64]:
    """Edges of all cells in both directions without duplicates, [2, num_edges], as in PyG.

    Args:
        cells: Connectivity [E, nodes] by cell type.
        num_nodes: Number of nodes of the mesh.
    """
    keys = [np.empty(0, dtype=np.int64)]
    for kind, nodes in cells.items():
        columns = np.ascontiguousarray(np.asarray(nodes, dtype=np.int64).T)
        for a, b in CELL_EDGES[kind]:
            low, high = np.minimum(columns[a], columns[b]), np.maximum(columns[a], columns[b])
            keys.append(low * num_nodes + high)
    # Sorting is faster than np.unique, which hashes first.
    key = np.sort(np.concatenate(keys))
    low, high = np.divmod(key[np.flatnonzero(np.diff(key, prepend=-1))], max(num_nodes, 1))
    # A collapsed cell has a node twice, which is no edge.
    once = np.stack([low, high])[:, low != high]
    return np.concatenate([once, once[::-1]], axis=1)
