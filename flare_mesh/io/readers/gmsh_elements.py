"""Element types of Gmsh's MSH files."""

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from flare_mesh.io.readers.node_order import node_order
from flare_mesh.mesh.cells import CELL_NODES

_Array = NDArray[Any]

GMSH_TYPES = {
    **{15: "vertex", 1: "line", 2: "triangle", 3: "quad"},
    **{4: "tetra", 5: "hexahedron", 6: "wedge", 7: "pyramid"},
    **{8: "line3", 9: "triangle6", 16: "quad8", 10: "quad9", 11: "tetra10"},
    **{17: "hexahedron20", 12: "hexahedron27", 18: "wedge15", 13: "wedge18"},
    **{19: "pyramid13", 14: "pyramid14"},
}
"""Cell type of each of Gmsh's element types of order 1 and 2."""

_OTHERS = {
    **{20: "9-node triangle", 21: "10-node triangle", 22: "12-node triangle"},
    **{23: "15-node triangle", 26: "4-node line", 27: "5-node line", 28: "6-node line"},
    **{29: "20-node tetrahedron", 30: "35-node tetrahedron", 34: "polygon", 35: "polyhedron"},
    **{36: "16-node quadrangle", 37: "25-node quadrangle", 92: "64-node hexahedron"},
    **{90: "40-node prism", 93: "125-node hexahedron", 118: "30-node pyramid"},
}

# Edges and faces in whose middle the nodes of second order lie, in the order of the figures of
# Gmsh's manual, section "Node ordering".
_TETRA_EDGES = ((0, 1), (1, 2), (0, 2), (0, 3), (2, 3), (1, 3))
_PRISM_EDGES = ((0, 1), (0, 2), (0, 3), (1, 2), (1, 4), (2, 5), (3, 4), (3, 5), (4, 5))
_PRISM_FACES = ((0, 1, 4, 3), (0, 2, 5, 3), (1, 2, 5, 4))
_PYRAMID_EDGES = ((0, 1), (0, 3), (0, 4), (1, 2), (1, 4), (2, 3), (2, 4), (3, 4))
_HEXAHEDRON_EDGES = (
    *((0, 1), (0, 3), (0, 4), (1, 2), (1, 5), (2, 3)),
    *((2, 6), (3, 7), (4, 5), (4, 7), (5, 6), (6, 7)),
)
_HEXAHEDRON_FACES = (
    *((0, 1, 2, 3), (0, 1, 5, 4), (0, 3, 7, 4), (1, 2, 6, 5), (2, 3, 7, 6), (4, 5, 6, 7)),
)
_MIDDLES: dict[str, tuple[tuple[int, ...], ...]] = {
    "tetra10": _TETRA_EDGES,
    "hexahedron20": _HEXAHEDRON_EDGES,
    "hexahedron27": (*_HEXAHEDRON_EDGES, *_HEXAHEDRON_FACES, tuple(range(8))),
    "wedge15": _PRISM_EDGES,
    "wedge18": (*_PRISM_EDGES, *_PRISM_FACES),
    "pyramid13": _PYRAMID_EDGES,
    "pyramid14": (*_PYRAMID_EDGES, (0, 1, 2, 3)),
}


def gmsh_node_order(kind: str) -> _Array | None:
    """Columns of Gmsh's connectivity in the order of ``CELL_TYPES``; None if they are the same."""
    if kind not in _MIDDLES:
        return None
    middles = _MIDDLES[kind]
    corners = CELL_NODES[kind] - len(middles)
    return node_order(kind, (*((corner,) for corner in range(corners)), *middles))


def cell_kind(number: int) -> str:
    """Cell type of Gmsh's element type.

    Raises:
        ValueError: If it is not of order 1 or 2, or does not exist.
    """
    if number in GMSH_TYPES:
        return GMSH_TYPES[number]
    name = f" ({_OTHERS[number]})" if number in _OTHERS else ""
    raise ValueError(
        f"elements of Gmsh's type {number}{name} are not supported; save the mesh with elements of "
        f"order 1 or 2"
    )


@dataclass(frozen=True)
class ElementBlock:
    """Elements of one type.

    Attributes:
        kind: Cell type by meshio's name.
        tags: Number of each element, [E].
        nodes: Tags of their nodes in Gmsh's order, [E, nodes].
        entity: Tag of the entity of each element, [E], or of all, [1].
        groups: Tags of the physical groups of each element, [E, groups], or of all, [1, groups];
            0 for none.
    """

    kind: str
    tags: _Array
    nodes: _Array
    entity: _Array
    groups: _Array
