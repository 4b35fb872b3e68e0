"""Cell types of Abaqus' and CalculiX's elements, with their node order."""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_mesh.mesh.cells import CELL_NODES

_SOLIDS = {
    **{"4": "tetra", "5": "pyramid", "6": "wedge", "8": "hexahedron", "10": "tetra10"},
    **{"15": "wedge15", "20": "hexahedron20", "27": "hexahedron27"},
}
_FACES = {
    **{"3": "triangle", "4": "quad", "6": "triangle6", "65": "triangle6"},
    **{"8": "quad8", "9": "quad9"},
}
_LINES = {"1": "line", "2": "line3"}
# Names of elements, in which the first group tells the kind.
_FAMILIES = (
    # Solids, also for heat, sound, flow and electric fields, and thick shells.
    (r"(?:[CQ]|DC|DCC|AC|EC|EMC|FC)3D(4|5|6|8|10|15|20|27)[DEHIMPRST]*", _SOLIDS),
    (r"(?:F3D|SC|CSS|COH3D|GK3D)(6|8)[NPRT]*", _SOLIDS),
    # Plane and axisymmetric.
    (r"(?:CP[SE]G?|CG?AX|DCC?2D|DCC?AX|AC2D|ACAX|EMC2D)(3|4|6|8)[DEHIMPRT]*", _FACES),
    (r"(?:COH2D|COHAX|GKP[SE]|GKAX)(4)[NP]*", _FACES),
    # Shells, membranes, surfaces, rigid faces.
    (r"(?:D?S|M3D|SFM3D|R3D)(3|4|6|8|9)R?[STW]*5?", _FACES),
    (r"STRI(3|65)", _FACES),
    # Trusses, links, axisymmetric shells and membranes, beams, pipes.
    (r"(?:T[23]D|DCC?1D|AC1D)(2|3)[DEHT]*", {"2": "line", "3": "line3"}),
    (r"(?:D?SAX|(?:SF)?MG?AX|B2|PIPE2|B3|PIPE3|ELBOW3)(1|2)[BCHORST]*", _LINES),
    (r"(?:B23|B33)H?|(?:R2D|RAX|RB[23]D)2|FRAME[23]D", "line"),
)
_COMPILED = [(re.compile(pattern), kinds) for pattern, kinds in _FAMILIES]
_WITH_DIRECTION = re.compile("B3|PIPE3|ELBOW3|FRAME3")
_ORDERS = {
    "line3": (0, 2, 1),
    # An element has its middle at place 20, then the faces 1-2-3-4, 5-8-7-6, 1-5-6-2, 2-6-7-3,
    # 3-7-8-4 and 4-8-5-1; VTK has the faces x, y, z from low to high, then the middle.
    "hexahedron27": (*range(20), 26, 24, 23, 25, 21, 22, 20),
}

WRITTEN = {
    **{"line": "T3D2", "line3": "T3D3", "triangle": "S3", "quad": "S4"},
    **{"triangle6": "STRI65", "quad8": "S8R", "quad9": "S9R5"},
    **{"tetra": "C3D4", "wedge": "C3D6", "hexahedron": "C3D8"},
    **{"tetra10": "C3D10", "hexahedron20": "C3D20"},
}
"""Element type as which a cell type is written."""


@dataclass(frozen=True)
class ElementType:
    """The cell that an element becomes.

    The node order is that of VTK, but the middle node of a line comes second, and the nodes on the
    faces of a brick have another order. Sources: node ordering of Abaqus' element libraries;
    element types in the manual of CalculiX CrunchiX.

    Attributes:
        kind: Type of the cell.
        order: Place in the element of each node of the cell.
        directed: Whether a node that gives the direction of a section may follow the nodes.
    """

    kind: str
    order: tuple[int, ...]
    directed: bool


@lru_cache(maxsize=1000)
def element_type(name: str) -> ElementType | None:
    """The cell of an element type, in upper case; None if it has none, such as a spring."""
    for pattern, kinds in _COMPILED:
        match = pattern.fullmatch(name)
        if match:
            kind = kinds if isinstance(kinds, str) else kinds[match[1]]
            order = _ORDERS.get(kind, tuple(range(CELL_NODES[kind])))
            return ElementType(kind, order, _WITH_DIRECTION.match(name) is not None)
    return None


def written_cells(kind: str, nodes: NDArray[Any]) -> NDArray[Any]:
    """Nodes of cells [E, n] in the order of the element type that they are written as."""
    element = element_type(WRITTEN[kind])
    assert element is not None
    written = np.empty_like(nodes)
    written[:, element.order] = nodes
    return written
