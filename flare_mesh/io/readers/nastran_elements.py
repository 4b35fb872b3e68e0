"""Elements of Nastran."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flare_mesh.io.readers.flat_cells import CellBlock
from flare_mesh.io.readers.nastran_cards import BulkData, Cards
from flare_mesh.io.readers.nastran_numbers import integers
from flare_mesh.mesh.cells import CELL_NODES

_Ints = NDArray[np.int64]

PROPERTY = "nastran:ref"
"""Cell field of the property numbers; 0 for elements without a property."""


@dataclass(frozen=True)
class _Element:
    """How a card gives the nodes of an element.

    Attributes:
        kinds: Cell types by the nodes that are given: with the corners only, with all middle nodes.
        first: Number of fields before the nodes; two are the element and its property.
        order: Place on the card of each node in VTK's order; None if it is the same.
        has_property: Whether the second field is a property.
        spring: Whether it connects points that may coincide, or a point with the ground.
    """

    kinds: tuple[str, ...]
    first: int = 2
    order: tuple[int, ...] | None = None
    has_property: bool = True
    spring: bool = False


_LINE = _Element(("line",))
_SPRING = _Element(("line",), spring=True)
_TRIANGLE = _Element(("triangle",))
_TRIANGLE6 = _Element(("triangle", "triangle6"))
_QUAD = _Element(("quad",))
_QUAD8 = _Element(("quad", "quad8"))
_QUAD9 = _Element(("quad", "quad8", "quad9"))
_PYRAMID = _Element(("pyramid", "pyramid13"))
# Nastran numbers the middle nodes of the vertical edges before those of the top, VTK after them.
_WEDGE = (*range(9), 12, 13, 14, 9, 10, 11)
_HEXAHEDRON = (*range(12), 16, 17, 18, 19, 12, 13, 14, 15)

ELEMENTS = {
    **dict.fromkeys(("CBAR", "CBEAM", "CBEND", "CROD", "CTUBE"), _LINE),
    "CONROD": _Element(("line",), first=1, has_property=False),
    "CBEAM3": _Element(("line", "line3")),
    **dict.fromkeys(("CBUSH", "CBUSH1D", "CGAP", "CVISC"), _SPRING),
    **dict.fromkeys(("CTRIA3", "CTRIAR", "CPLSTN3", "CPLSTS3", "CTRAX3"), _TRIANGLE),
    **dict.fromkeys(("CTRIA6", "CPLSTN6", "CPLSTS6", "CTRIAX"), _TRIANGLE6),
    # Corners and middle nodes in turn, and a material in place of the property.
    "CTRIAX6": _Element(("triangle", "triangle6"), order=(0, 2, 4, 1, 3, 5), has_property=False),
    **dict.fromkeys(("CQUAD4", "CQUADR", "CSHEAR", "CPLSTN4", "CPLSTS4", "CQUADX4"), _QUAD),
    **dict.fromkeys(("CQUAD8", "CPLSTN8", "CPLSTS8", "CQUADX8"), _QUAD8),
    **dict.fromkeys(("CQUAD", "CQUADX"), _QUAD9),
    "CTETRA": _Element(("tetra", "tetra10")),
    "CPYRAM": _PYRAMID,
    "CPYRA": _PYRAMID,
    "CPENTA": _Element(("wedge", "wedge15"), order=_WEDGE),
    "CHEXA": _Element(("hexahedron", "hexahedron20"), order=_HEXAHEDRON),
}
"""Elements that are read, by card."""

_DEFAULTS = {"CBAR": "BAROR", "CBEAM": "BEAMOR"}
"""Cards with the default property of other cards."""


def read_elements(
    deck: BulkData, numbers: _Ints, points: NDArray[np.float64]
) -> tuple[list[CellBlock], dict[str, int], dict[str, int]]:
    """Cells of all elements in ``ELEMENTS``.

    Also the number by card of springs without a length, which are left out, and of elements with
    some of their middle nodes only. The format allows these; no cell type has them, so they become
    cells of their corners.

    Args:
        deck: The cards.
        numbers: Numbers of the grid points.
        points: Their coordinates, [N, 3].

    Raises:
        ValueError: If a node does not exist or is missing, or two elements have the same number.
    """
    rows = _row_table(numbers)
    blocks: list[CellBlock] = []
    elements: list[_Ints] = []
    left_out: dict[str, int] = {}
    incomplete: dict[str, int] = {}
    for name, element in ELEMENTS.items():
        if name not in deck.counts:
            continue
        size = CELL_NODES[element.kinds[-1]]
        cards = deck.cards(name, element.first + size)
        ids = integers(cards, slice(0, 1))[:, 0]
        _check_positive(cards, ids)
        nodes = integers(cards, slice(element.first, element.first + size))
        if element.order is not None:
            nodes = nodes[:, element.order]
        properties = _properties(deck, cards, ids) if element.has_property else np.zeros_like(ids)
        kept = np.ones(len(ids), dtype=bool)
        if element.spring:
            kept &= (nodes > 0).all(axis=1)
        num_cells = 0
        by_kind, num_incomplete = _by_kind(cards, element, nodes, kept)
        if num_incomplete:
            incomplete[name] = num_incomplete
        for kind, chosen in by_kind:
            place = cards.lines[chosen]
            index = _rows_of(rows, nodes[chosen, : CELL_NODES[kind]], name, place)
            if element.spring:
                long = (points[index[:, 0]] != points[index[:, 1]]).any(axis=1)
                chosen, index, place = chosen[long], index[long], place[long]
            blocks.append(CellBlock(kind, index, place, {PROPERTY: properties[chosen]}))
            elements.append(ids[chosen])
            num_cells += len(chosen)
        if num_cells < len(ids):
            left_out[name] = len(ids) - num_cells
    return _once(blocks, elements), left_out, incomplete


def _by_kind(
    cards: Cards, element: _Element, nodes: _Ints, kept: NDArray[np.bool_]
) -> tuple[list[tuple[str, _Ints]], int]:
    """Cards of each cell type by the middle nodes that they have, and how many lack some."""
    given = nodes > 0
    fits = [
        given[:, : CELL_NODES[k]].all(1) & ~given[:, CELL_NODES[k] :].any(1) for k in element.kinds
    ]
    corners = given[:, : CELL_NODES[element.kinds[0]]].all(axis=1)
    bad = kept & ~corners | (nodes < 0).any(axis=1)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        sizes = " or ".join(str(CELL_NODES[kind]) for kind in element.kinds)
        raise ValueError(
            f"line {cards.lines[row]}: expected {cards.name} with {sizes} nodes "
            f"(got {int(given[row].sum())}); complete it"
        )
    incomplete = corners & ~np.logical_or.reduce(fits)
    fits[0] |= incomplete
    chosen = [
        (kind, np.flatnonzero(fit & kept)) for kind, fit in zip(element.kinds, fits, strict=True)
    ]
    return chosen, int(incomplete.sum())


def _properties(deck: BulkData, cards: Cards, ids: _Ints) -> _Ints:
    """Property of each element; blank means the default card's, or the element's own number."""
    given = integers(cards, slice(1, 2), default=-1)[:, 0]
    default = ids
    if cards.name in _DEFAULTS:
        fallback = integers(deck.cards(_DEFAULTS[cards.name], 2), slice(1, 2))
        if fallback.any():
            default = np.full_like(ids, fallback[0, 0])
    return np.where(given < 0, default, given)


def _row_table(numbers: _Ints) -> tuple[_Ints, _Ints]:
    order = np.argsort(numbers, kind="stable")
    return numbers[order], order


def _rows_of(rows: tuple[_Ints, _Ints], nodes: _Ints, name: str, lines: _Ints) -> _Ints:
    """Row of each node in the grid points."""
    known, order = rows
    if len(known) and known[-1] - known[0] < 4 * len(known) + 1000:
        # A table is faster than a search where the numbers are dense.
        table = np.full(int(known[-1] - known[0]) + 1, -1)
        table[known - known[0]] = order
        inside = (nodes >= known[0]) & (nodes <= known[-1])
        found = table[np.where(inside, nodes - known[0], 0)]
        exists = inside & (found >= 0)
    else:
        place = np.minimum(np.searchsorted(known, nodes), max(len(known) - 1, 0))
        exists = known[place] == nodes if len(known) else np.zeros(nodes.shape, dtype=bool)
        found = order[place] if len(known) else nodes
    if not exists.all():
        row, column = np.argwhere(~exists)[0]
        raise ValueError(
            f"line {lines[row]}: {name} has the node {nodes[row, column]}, for which there is no "
            f"GRID"
        )
    return found


def _check_positive(cards: Cards, ids: _Ints) -> None:
    if len(ids) and ids.min() <= 0:
        line = cards.lines[np.argmax(ids <= 0)]
        raise ValueError(f"line {line}: expected the number of an element in {cards.name}")


def _once(blocks: list[CellBlock], elements: list[_Ints]) -> list[CellBlock]:
    """The blocks without elements that are given twice in the same way."""
    if not blocks:
        return blocks
    every = np.concatenate(elements)
    number, counts = np.unique(every, return_counts=True)
    repeated = number[counts > 1]
    if not len(repeated):
        return blocks
    seen: dict[int, tuple[str, bytes]] = {}
    result = []
    for block, ids in zip(blocks, elements, strict=True):
        kept = np.ones(len(ids), dtype=bool)
        for row in np.flatnonzero(np.isin(ids, repeated)).tolist():
            nodes = np.append(block.nodes[row], block.fields[PROPERTY][row])
            content = block.kind, nodes.tobytes()
            kept[row] = int(ids[row]) not in seen
            if seen.setdefault(int(ids[row]), content) != content:
                raise ValueError(
                    f"line {block.place[row]}: the element {ids[row]} is defined twice, in "
                    f"different ways; remove one of them"
                )
        fields = {name: values[kept] for name, values in block.fields.items()}
        result.append(CellBlock(block.kind, block.nodes[kept], block.place[kept], fields))
    return result
