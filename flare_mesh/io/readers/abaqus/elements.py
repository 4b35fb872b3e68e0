"""Elements of a part."""

from dataclasses import dataclass, field
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from flare_mesh.io.readers.abaqus.data_lines import DataLines, Rows
from flare_mesh.io.readers.abaqus.deck import Deck, Keyword
from flare_mesh.io.readers.abaqus.element_types import ElementType, element_type
from flare_mesh.io.readers.abaqus.labels import Labels
from flare_mesh.io.readers.abaqus.limits import Limits

_MAX_BLOCKS = 20_000


@dataclass
class ElementBlock:
    """Elements of one type.

    Attributes:
        kind: Type of their cells; empty for elements that have none.
        labels: Their numbers, [E].
        nodes: Numbers of their nodes in the order of the cell, [E, n].
        data: Their data lines.
        lines: Line of each element in them, [E].
    """

    kind: str
    labels: NDArray[np.int64]
    nodes: NDArray[np.int64]
    data: DataLines
    lines: NDArray[np.int64]


@dataclass
class Elements:
    """Elements of a part.

    Attributes:
        blocks: In the order of the deck.
        members: Numbers of the elements of each keyword with ELSET, by the offset of its line.
        left_out: Number of elements of each type that has no cell.
    """

    blocks: list[ElementBlock] = field(default_factory=list)
    members: dict[int, NDArray[np.int64]] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)


class ElementReader:
    """Reads the keywords ``*ELEMENT`` and ``*ELGEN`` of a part."""

    def __init__(self, deck: Deck, limits: Limits) -> None:
        self.deck, self.limits = deck, limits
        self._read = Elements()
        self._known: dict[int, tuple[ElementBlock, int]] | None = None

    def read(self, keywords: list[Keyword]) -> Elements:
        """Read the keywords in their order.

        Raises:
            ValueError: If one is damaged, or defines an element again in another way.
        """
        if any(one.name == "ELGEN" for one in keywords):
            self._known = {}
        kept = (one for one in keywords if one.name in ("ELEMENT", "ELGEN"))
        for kind, group in groupby(kept, self._type):
            if kind == "*ELGEN":
                for keyword in group:
                    self._generate(keyword)
            else:
                self._read_elements(kind, list(group))
            if len(self._read.blocks) > _MAX_BLOCKS:
                raise ValueError(
                    f"the type of the elements changes more than {_MAX_BLOCKS:,} times; sort the "
                    f"elements by type"
                )
        self._drop_repeated()
        return self._read

    def _type(self, keyword: Keyword) -> str:
        if keyword.name == "ELGEN":
            return "*ELGEN"
        given = self.deck.parameters(keyword)
        for name in ("INPUT", "FILE", "OFFSET"):
            if name in given:
                raise self.deck.error(keyword, f"has the parameter {name}, which is not read")
        if not given.get("TYPE"):
            raise self.deck.error(keyword, "has no TYPE")
        return given["TYPE"].upper()

    def _read_elements(self, name: str, keywords: list[Keyword]) -> None:
        data = DataLines(self.deck, keywords)
        kind = element_type(name)
        if kind is None:
            block, bounds = self._without_cells(data)
            self._read.left_out[name] = self._read.left_out.get(name, 0) + len(block.labels)
        else:
            block, bounds = self._with_cells(name, kind, data)
        for keyword, first, last in zip(keywords, bounds[:-1], bounds[1:], strict=True):
            self._read.members[keyword.start] = block.labels[first:last]
        self._add(block)

    def _with_cells(
        self, name: str, kind: ElementType, data: DataLines
    ) -> tuple[ElementBlock, NDArray[np.int64]]:
        rows = data.rows()
        size = len(kind.order) + 1
        ends = np.cumsum(rows.counts)
        total = int(ends[-1]) if len(ends) else 0
        count, rest = divmod(total, size)
        wanted = size * np.arange(1, count + 1)
        last = np.searchsorted(ends, wanted)  # line in which each element ends
        if not rest and (ends[last] == wanted).all() and np.delete(rows.continued, last).all():
            table = rows.values.reshape(-1, size)
            first = np.concatenate([[0], last[:-1] + 1])[:count]
        else:
            first, table = self._by_commas(name, kind, data, rows)
        lines = rows.lines[first]
        labels = data.labels(table[:, 0], lines)
        nodes = data.labels(table[:, 1:].ravel(), np.repeat(lines, size - 1))
        nodes = nodes.reshape(len(labels), size - 1)[:, kind.order]
        bounds = np.searchsorted(lines, rows.starts)
        return ElementBlock(kind.kind, labels, nodes, data, lines), bounds

    def _by_commas(
        self, name: str, kind: ElementType, data: DataLines, rows: Rows
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """First line and numbers of elements, which a comma continues on the next line."""
        size = len(kind.order) + 1
        begins = np.flatnonzero(np.concatenate([[True], ~rows.continued[:-1]]))
        counts = np.add.reduceat(rows.counts, begins)
        fits = (counts == size) | (kind.directed & (counts == size + 1))
        if not fits.all():
            at = int(np.argmin(fits))
            begin = int(np.cumsum(counts)[at] - counts[at])
            raise data.error(
                int(rows.lines[begins[at]]),
                f"expected {size - 1} nodes of an element of the type {name} (got "
                f"{counts[at] - 1} of element {rows.values[begin]:.0f})",
            )
        starts = np.cumsum(counts) - counts
        return begins, rows.values[starts[:, None] + np.arange(size)]

    def _without_cells(self, data: DataLines) -> tuple[ElementBlock, NDArray[np.int64]]:
        """Numbers of the elements only; their nodes may be those of instances."""
        labels, lines, starts = [], [], [0]
        index, continued = 0, False
        for keyword in data.keywords:
            text = self.deck.text(keyword).decode("latin-1")
            for number, line in enumerate(text.split("\n"), index):
                words = line.strip()
                if not words:
                    continue
                if not continued:
                    word = words.partition(",")[0].strip()
                    if not word.isdecimal() or len(word) > 15:
                        raise data.error(number, f"expected an element (got {word[:40]!r})")
                    labels.append(int(word))
                    lines.append(number)
                continued = words.endswith(",")
            index += text.count("\n")
            starts.append(len(labels))
        nodes = np.empty((len(labels), 0), np.int64)
        numbers = np.array(labels, np.int64)
        block = ElementBlock("", numbers, nodes, data, np.array(lines, np.int64))
        return block, np.array(starts)

    def _add(self, block: ElementBlock) -> None:
        self._read.blocks.append(block)
        if self._known is not None:
            places = ((block, row) for row in range(len(block.labels)))
            self._known.update(zip(block.labels.tolist(), places, strict=True))

    def _generate(self, keyword: Keyword) -> None:
        """Copies of an element with larger numbers, in rows and layers."""
        deck, known = self.deck, self._known
        assert known is not None
        self.limits.count(deck, keyword)
        if "ALLNODES" in deck.parameters(keyword):
            raise deck.error(keyword, "has the parameter ALL NODES, which is not read")
        data = DataLines(deck, [keyword])
        rows = data.rows()
        members = []
        starts = np.cumsum(rows.counts) - rows.counts
        for index, start, count in zip(rows.lines, starts, rows.counts, strict=True):
            given = rows.values[start : start + count]
            numbers = [int(value) for value in given]
            if not 2 <= count <= 10 or not np.array_equal(numbers, given):
                raise data.error(index, "expected an element, and numbers and increments of copies")
            numbers += [0] * (10 - len(numbers))
            master, *others = numbers
            if master not in known:
                raise data.error(
                    index, f"*ELGEN copies element {master}, which is not defined before"
                )
            if min(others) < 0:
                raise data.error(index, "expected no negative numbers")
            block, row = known[master]
            labels, shifts = np.array([master]), np.array([0])
            for level in range(3):
                copies, by_node, by_element = others[3 * level : 3 * level + 3]
                if copies < 2:
                    continue
                if level == 0:
                    by_node, by_element = by_node or 1, by_element or 1
                if not by_element:
                    raise data.error(index, "expected the increment of the elements' numbers")
                self.limits.generate(
                    deck, keyword, copies * len(labels) * (block.nodes.shape[1] + 1)
                )
                steps = np.arange(copies)
                labels = (labels + by_element * steps[:, None]).ravel()
                shifts = (shifts + by_node * steps[:, None]).ravel()
            new = labels[1:]
            nodes = block.nodes[row] + shifts[1:, None]
            lines = np.full(len(new), index)
            self._add(ElementBlock(block.kind, new, nodes, data, lines))
            members.append(labels)
        if members:
            self._read.members[keyword.start] = np.concatenate(members)

    def _drop_repeated(self) -> None:
        """Keep the first of elements that are defined again with the same nodes.

        Raises:
            ValueError: If one is defined again with other nodes or another type.
        """
        blocks = self._read.blocks
        if not blocks:
            return
        counts = [len(block.labels) for block in blocks]
        again, first = Labels(np.concatenate([block.labels for block in blocks])).repeated()
        if not len(again):
            return
        ends = np.cumsum(counts)
        dropped: dict[int, list[int]] = {}
        for later, earlier in zip(again.tolist(), first.tolist(), strict=True):
            (a, i), (b, j) = (_place(ends, counts, one) for one in (later, earlier))
            one, other = blocks[a], blocks[b]
            if one.kind != other.kind or (one.nodes[i] != other.nodes[j]).any():
                raise one.data.error(
                    one.lines[i],
                    f"element {one.labels[i]} is defined again with other nodes or another type; "
                    f"remove one",
                )
            dropped.setdefault(a, []).append(i)
        for at, rows in dropped.items():
            block = blocks[at]
            block.labels = np.delete(block.labels, rows)
            block.nodes = np.delete(block.nodes, rows, axis=0)
            block.lines = np.delete(block.lines, rows)


def _place(ends: NDArray[np.int64], counts: list[int], index: int) -> tuple[int, int]:
    """Block and row of an element by its place among all."""
    block = int(np.searchsorted(ends, index, "right"))
    return block, index - (int(ends[block]) - counts[block])
