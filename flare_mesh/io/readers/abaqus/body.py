"""Nodes, elements and sets of a part."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from flare_mesh.io.readers.abaqus.deck import Deck, Keyword
from flare_mesh.io.readers.abaqus.elements import ElementBlock, ElementReader
from flare_mesh.io.readers.abaqus.labels import Labels
from flare_mesh.io.readers.abaqus.limits import Limits
from flare_mesh.io.readers.abaqus.nodes import NodeReader, Nodes
from flare_mesh.mesh.cells import CELL_TYPES


@dataclass
class Cells:
    """Cells of one type by the indices of their nodes, [E, n]."""

    kind: str
    nodes: NDArray[np.int64]


@dataclass
class Body:
    """Mesh of a part, an instance, or the deck itself.

    Attributes:
        nodes: The nodes.
        cells: The cells, in the order of the deck.
        keywords: The keywords of the part.
        node_labels, element_labels: Index of nodes and elements by their numbers.
        cell_index: Index of the cell of each element; -1 if it has none.
        members: Numbers of the nodes and elements of the keywords that name a set, by the offsets
            of their lines.
        left_out: Number of elements of each type that has no cell.
    """

    nodes: Nodes
    cells: list[Cells]
    keywords: list[Keyword]
    node_labels: Labels
    element_labels: Labels
    cell_index: NDArray[np.int64]
    members: dict[int, NDArray[np.int64]]
    left_out: dict[str, int] = field(default_factory=dict)

    @cached_property
    def num_cells(self) -> int:
        """Number of cells."""
        return sum(len(one.nodes) for one in self.cells)

    @property
    def size(self) -> int:
        """How many numbers its points and cells have."""
        return self.nodes.points.size + sum(one.nodes.size for one in self.cells)


def read_body(deck: Deck, keywords: list[Keyword], limits: Limits) -> Body:
    """Read the nodes and elements of the keywords of a part.

    Raises:
        ValueError: If a keyword is damaged, or an element has a node that is not defined.
    """
    nodes = NodeReader(deck, limits).read(keywords)
    elements = ElementReader(deck, limits).read(keywords)
    by_label = Labels(nodes.labels)
    cells, index, at = [], [], 0
    for block in elements.blocks:
        if block.kind:
            cells.append(Cells(block.kind, _indices(block, by_label)))
            index.append(np.arange(at, at + len(block.labels)))
            at += len(block.labels)
        else:
            index.append(np.full(len(block.labels), -1))
    for one, block in zip(cells, (b for b in elements.blocks if b.kind), strict=True):
        _check_order(nodes.points, one, block)
    labels = [block.labels for block in elements.blocks]
    none = np.empty(0, np.int64)
    return Body(
        nodes,
        cells,
        keywords,
        by_label,
        Labels(np.concatenate([none, *labels])),
        np.concatenate([none, *index]),
        {**nodes.members, **elements.members},
        elements.left_out,
    )


def _indices(block: ElementBlock, labels: Labels) -> NDArray[np.int64]:
    index = labels.find(block.nodes.ravel()).reshape(block.nodes.shape)
    missing = (index < 0).any(1)
    if missing.any():
        row = int(np.argmax(missing))
        node = block.nodes[row, int(np.argmin(index[row]))]
        raise block.data.error(
            block.lines[row], f"element {block.labels[row]} uses node {node}, which is not defined"
        )
    return index


def _check_order(points: NDArray[np.float64], cells: Cells, block: ElementBlock) -> None:
    """Refuse nodes in the middle of lines, faces or bricks that are nearer to another middle.

    The programs order them in another way than VTK; a file written in VTK's order shows here.
    """
    if cells.kind not in ("line3", "hexahedron27") or not len(cells.nodes):
        return
    where = points[cells.nodes]
    if cells.kind == "line3":
        # The distance of the middle node to both ends is less than that between the ends.
        ends, middle = where[:, :2], where[:, 2:]
        far = np.linalg.norm(middle - ends, axis=2).max(1)
        wrong = far > np.linalg.norm(ends[:, 0] - ends[:, 1], axis=1)
    else:
        faces = [list(corners) for _, corners in CELL_TYPES["hexahedron"].faces]
        centres = [where[:, corners].mean(1) for corners in [*faces, list(range(8))]]
        expected = np.stack(centres, 1)
        apart = np.linalg.norm(where[:, 20:, None] - expected[:, None], axis=3)
        wrong = (apart.argmin(2) != np.arange(7)).any(1)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise block.data.error(
            block.lines[row],
            f"element {block.labels[row]} has its middle nodes in another order than Abaqus and "
            f"CalculiX number them; reorder its nodes",
        )
