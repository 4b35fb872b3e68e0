"""Bodies at their place in the mesh, with their sets."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from flare_mesh.io.readers.abaqus.body import Body

_BLANKS = str.maketrans("", "", " \t")

Mask = NDArray[np.bool_]


@dataclass
class Sets:
    """Sets by the names by which a deck refers to them.

    Attributes:
        nodes, cells: Which nodes and cells are members.
        names: The names as they are written, by ``("nodes" or "cells", name)``.
        last: Offset of the last keyword that adds to a set, by the same.
    """

    nodes: dict[str, Mask] = field(default_factory=dict)
    cells: dict[str, Mask] = field(default_factory=dict)
    names: dict[tuple[str, str], str] = field(default_factory=dict)
    last: dict[tuple[str, str], int] = field(default_factory=dict)


@dataclass
class Placed:
    """A body at its place among all nodes and cells."""

    body: Body
    first_node: int = 0
    first_cell: int = 0
    sets: Sets = field(default_factory=Sets)


def name_key(text: str) -> str:
    """A name as the programs compare names: in upper case unless it has quotes."""
    text = text.strip()
    return text.strip('"') if text.startswith('"') else text.translate(_BLANKS).upper()


def shown_name(text: str) -> str:
    """A name without quotes."""
    text = text.strip()
    return text.strip('"') if text.startswith('"') else text.translate(_BLANKS)
