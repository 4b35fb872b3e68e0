"""Parts of EnSight's geometry files."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from flare_mesh.mesh.cells import CELL_NODES

_KINDS = {
    **{"point": "vertex", "bar2": "line", "bar3": "line3"},
    **{"tria3": "triangle", "tria6": "triangle6", "quad4": "quad", "quad8": "quad8"},
    **{"tetra4": "tetra", "tetra10": "tetra10", "pyramid5": "pyramid", "pyramid13": "pyramid13"},
    **{"penta6": "wedge", "penta15": "wedge15", "hexa8": "hexahedron", "hexa20": "hexahedron20"},
}
_GHOST = "g_"
_POLY = {
    "nsided": "polygons",
    "nfaced": "polyhedra",
}


@dataclass
class EnSightPart:
    """A part: its nodes among the points of the mesh, and its blocks of elements.

    Attributes:
        number: Number of the part.
        first: Number of its first point.
        num_points: Number of its points.
        blocks: EnSight's name of the elements, and their nodes [E, nodes].
        is_grid: Whether it is a structured block.
    """

    number: int
    first: int
    num_points: int
    blocks: list[tuple[str, NDArray[np.int64]]] = field(default_factory=list)
    is_grid: bool = False

    def is_ghost(self, block: int) -> bool:
        """Whether a block of elements repeats those of other partitions."""
        return self.blocks[block][0].startswith(_GHOST)

    def kind(self, block: int) -> str:
        """Cell type of a block of elements."""
        return element_kind(self.blocks[block][0])


def element_kind(name: str) -> str:
    """Cell type of EnSight's name of elements.

    Raises:
        ValueError: If the elements are not supported.
    """
    plain = name.removeprefix(_GHOST)
    if plain in _POLY:
        raise ValueError(
            f"{_POLY[plain]} ({plain}) are not supported; decompose them into triangles or "
            f"tetrahedra (ParaView: Tetrahedralize; OpenFOAM: foamToVTK -poly-decomp)"
        )
    if plain not in _KINDS:
        raise ValueError(f"expected elements of one of {', '.join(_KINDS)} (got '{name[:60]}')")
    return _KINDS[plain]


def num_nodes(name: str) -> int:
    """Number of nodes of an element of EnSight's name."""
    return CELL_NODES[element_kind(name)]
