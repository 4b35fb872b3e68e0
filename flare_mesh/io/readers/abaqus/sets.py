"""Sets of nodes and elements."""

import re

import numpy as np
from numpy.typing import NDArray

from flare_mesh.io.readers.abaqus.data_lines import DataLines
from flare_mesh.io.readers.abaqus.deck import Deck, Keyword
from flare_mesh.io.readers.abaqus.limits import Limits
from flare_mesh.io.readers.abaqus.placed import Mask, Placed, Sets, name_key, shown_name

_SMALL = 500  # bytes, below which Python is faster than NumPy
_NAME = re.compile(rb'[A-Za-z_".<]')
_NUMBERS = re.compile(rb"\s*(?:\d{1,15}[ \t]*(?:[,\n]\s*|$))*")
_SPECIAL = {"ELSET", "GENERATE", "INSTANCE"}
_SEPARATOR = re.compile(r'(?:[^,\n"]|"[^"\n]*"?)+')
# Members of sets that are joined in the time that a range, or a keyword, takes.
_BY_RANGE, _BY_KEYWORD = 100_000, 200_000
_BLANKS = str.maketrans("", "", " \t")
_DEFINING = frozenset({"NODE", "NGEN", "ELEMENT", "ELGEN", "NSET", "ELSET"})


class SetReader:
    """Reads the sets of a body in their order; a set may have those before it as members.

    Args:
        deck: The deck.
        limits: Limits of their fields.
        own: The body.
        instances: Instances that its sets may refer to, by name.
        assembly: Name of the assembly, which may precede those of the instances.
        sizes: Number of nodes and of cells of the masks.
        field_sizes: Number of nodes and of cells of the whole mesh.
    """

    def __init__(
        self,
        deck: Deck,
        limits: Limits,
        own: Placed,
        instances: dict[str, Placed],
        assembly: str,
        sizes: tuple[int, int],
        field_sizes: tuple[int, int],
    ) -> None:
        self.deck, self.limits, self.own = deck, limits, own
        self.instances, self.assembly = instances, assembly
        kinds = "nodes", "cells"
        self.sizes: dict[str, int] = dict(zip(kinds, sizes, strict=True))
        self.field_sizes: dict[str, int] = dict(zip(kinds, field_sizes, strict=True))
        self.missing: dict[str, tuple[int, int]] = {}

    def read(self) -> Sets:
        """Read the sets; ``missing`` has the count and first of the numbers that do not exist.

        Raises:
            ValueError: If a set is damaged, or refers to one that is not defined before.
        """
        pending: dict[tuple[str, str], list[NDArray[np.int64]]] = {}
        for keyword in self.own.body.keywords:
            name = keyword.name
            if name not in _DEFINING or not (keyword.rest or name in ("NSET", "ELSET")):
                continue
            given = self.deck.parameters(keyword)
            kind, parameter = ("nodes", "NSET") if name[0] == "N" else ("cells", "ELSET")
            label = given.get(parameter, "")
            if not label:
                if name == parameter:
                    raise self.deck.error(keyword, "has no name")
                continue
            mask = self._mask(keyword, kind, label)
            if name != parameter:
                labels = self.own.body.members.get(keyword.start)
                if labels is not None:
                    pending.setdefault((kind, label), []).append(labels)
                continue
            special = given.keys() & (_SPECIAL - {parameter})
            plain = None if special else self._plain_numbers(keyword)
            if plain is not None:
                pending.setdefault((kind, label), []).append(plain)
                continue
            self._add_all(pending)
            self.limits.work(self.deck, keyword, _BY_KEYWORD)
            if kind == "nodes" and "ELSET" in given:
                self._add_nodes_of(keyword, given["ELSET"], mask)
            elif "GENERATE" in given:
                self._add_ranges(keyword, kind, self._where(keyword, given), mask, label)
            else:
                self._add_listed(keyword, kind, self._where(keyword, given), mask, label)
        self._add_all(pending)
        return self.own.sets

    def _plain_numbers(self, keyword: Keyword) -> NDArray[np.int64] | None:
        """Numbers in a short list of nothing else; None for other lists."""
        text = self.deck.text(keyword)
        if len(text) > _SMALL or not _NUMBERS.fullmatch(text):
            return None
        numbers = [int(word) for word in text.replace(b",", b" ").split()]
        return None if 0 in numbers else np.array(numbers, np.int64)

    def _add_all(self, pending: dict[tuple[str, str], list[NDArray[np.int64]]]) -> None:
        """Add the nodes and elements of all keywords that defined them so far."""
        for (kind, label), labels in pending.items():
            mask = self._masks(kind, self.own)[name_key(label)]
            self._add(kind, self.own, np.concatenate(labels), mask, label)
        pending.clear()

    def _masks(self, kind: str, placed: Placed) -> dict[str, Mask]:
        return placed.sets.nodes if kind == "nodes" else placed.sets.cells

    def _mask(self, keyword: Keyword, kind: str, label: str) -> Mask:
        key = name_key(label)
        masks = self._masks(kind, self.own)
        if key not in masks:
            self.limits.fields(self.deck, keyword, self.field_sizes[kind])
            masks[key] = np.zeros(self.sizes[kind], np.bool_)
            self.own.sets.names[kind, key] = shown_name(label)
        self.own.sets.last[kind, key] = keyword.start
        return masks[key]

    def _where(self, keyword: Keyword, given: dict[str, str]) -> Placed:
        return self._instance(keyword, given["INSTANCE"]) if "INSTANCE" in given else self.own

    def _instance(self, keyword: Keyword, name: str) -> Placed:
        key = name_key(name)
        if self.assembly and key.startswith(f"{self.assembly}."):
            key = key[len(self.assembly) + 1 :]
        if key not in self.instances:
            raise self.deck.error(keyword, f"uses the instance '{name[:80]}', which is not defined")
        return self.instances[key]

    def _add(
        self, kind: str, where: Placed, labels: NDArray[np.int64], mask: Mask, label: str
    ) -> None:
        """Add nodes or elements of a body by their numbers."""
        if not len(labels):
            return
        found = where.body.node_labels if kind == "nodes" else where.body.element_labels
        index = found.find(labels)
        lost = labels[index < 0]
        if len(lost):
            self._lose(label, len(lost), int(lost[0]))
            index = index[index >= 0]
        self._set(kind, where, index, mask)

    def _set(self, kind: str, where: Placed, index: NDArray[np.int64], mask: Mask) -> None:
        if kind == "nodes":
            mask[index + where.first_node] = True
        else:
            cells = where.body.cell_index[index]
            mask[cells[cells >= 0] + where.first_cell] = True

    def _lose(self, label: str, count: int, first: int) -> None:
        before, example = self.missing.get(shown_name(label), (0, first))
        self.missing[shown_name(label)] = before + count, example

    def _add_ranges(
        self, keyword: Keyword, kind: str, where: Placed, mask: Mask, label: str
    ) -> None:
        data = DataLines(self.deck, [keyword])
        rows = data.rows()
        starts = np.cumsum(rows.counts) - rows.counts
        table = np.zeros((len(starts), 3), np.int64)
        if (rows.counts > 3).any():
            at = int(np.argmax(rows.counts > 3))
            raise data.error(rows.lines[at], "expected a first and last number and an increment")
        for column in range(3):
            has = rows.counts > column
            if column < 2 or has.any():
                values = rows.values[starts[has] + column]
                zero = (values == 0) & (column > 0)  # as if it was not given
                table[has, column] = data.labels(np.where(zero, 1, values), rows.lines[has])
                table[np.flatnonzero(has)[zero], column] = 0
        first, last, step = table.T
        last = np.where(last == 0, first, last)
        step = np.maximum(step, 1)
        if (last < first).any():
            at = int(np.argmax(last < first))
            raise data.error(
                rows.lines[at], f"expected a last number above {first[at]} (got {last[at]})"
            )
        labels = where.body.node_labels if kind == "nodes" else where.body.element_labels
        ranges = np.unique(np.stack([first, last, step], 1), axis=0)
        low = np.searchsorted(labels.ordered, ranges[:, 0])
        high = np.searchsorted(labels.ordered, ranges[:, 1], "right")
        nothing = low == high
        if nothing.any():
            self._lose(label, int(nothing.sum()), int(ranges[np.argmax(nothing), 0]))
        # Whole ranges by their ends, however many they are.
        whole = ranges[:, 2] == 1
        size = len(labels.ordered) + 1
        opened, closed = (np.bincount(ends[whole], minlength=size) for ends in (low, high))
        chosen = np.cumsum(opened - closed)[:-1] > 0
        for begin, end, (start, _, by) in zip(
            low[~whole], high[~whole], ranges[~whole], strict=True
        ):
            self.limits.work(self.deck, keyword, 8 * int(end - begin) + _BY_RANGE)
            chosen[begin:end] |= (labels.ordered[begin:end] - start) % by == 0
        self._set(kind, where, labels.indices(np.flatnonzero(chosen)), mask)

    def _add_listed(
        self, keyword: Keyword, kind: str, where: Placed, mask: Mask, label: str
    ) -> None:
        text = self.deck.text(keyword)
        if len(text) > _SMALL and not _NAME.search(text):
            data = DataLines(self.deck, [keyword])
            rows = data.rows()
            numbers = data.labels(rows.values, np.repeat(rows.lines, rows.counts))
            self._add(kind, where, numbers, mask, label)
            return
        try:
            decoded = text.decode()
        except UnicodeDecodeError:
            decoded = text.decode("latin-1")
        own, names = [], {}
        for word in _SEPARATOR.findall(decoded):
            word = word.strip()
            if word.isdecimal():
                own.append(self._number(keyword, word))
            elif word:
                names[word] = None
        self._add(kind, where, np.array(own, np.int64), mask, label)
        for name in names:
            self._add_named(keyword, kind, where, name, mask, label)

    def _number(self, keyword: Keyword, word: str) -> int:
        if len(word) > 15 or int(word) < 1:
            raise self.deck.error(keyword, f"expected positive numbers (got '{word[:40]}')")
        return int(word)

    def _add_named(
        self, keyword: Keyword, kind: str, where: Placed, name: str, mask: Mask, label: str
    ) -> None:
        """Add a set, or the set or number of an instance, such as ``PART-1-1.TOP``."""
        key = name_key(name)
        if key in self._masks(kind, where):
            self._join(keyword, kind, where, key, mask)
            return
        if where is not self.own and key in self._masks(kind, self.own):
            self._join(keyword, kind, self.own, key, mask)
            return
        if self.assembly and key.startswith(f"{self.assembly}."):
            key = key[len(self.assembly) + 1 :]
            if key in self._masks(kind, self.own):
                self._join(keyword, kind, self.own, key, mask)
                return
        owner, _, rest = key.rpartition(".")
        placed = self.instances.get(name_key(owner))
        if placed is not None and rest.isdecimal():
            self._add(kind, placed, np.array([self._number(keyword, rest)]), mask, label)
        elif placed is not None and name_key(rest) in self._masks(kind, placed):
            self._join(keyword, kind, placed, name_key(rest), mask)
        else:
            raise self.deck.error(
                keyword, f"uses the set '{name[:80]}', which is not defined before"
            )

    def _join(self, keyword: Keyword, kind: str, placed: Placed, key: str, mask: Mask) -> None:
        members = self._masks(kind, placed)[key]
        self.limits.work(self.deck, keyword, len(members))
        if placed is self.own:
            mask |= members
        else:
            first = placed.first_node if kind == "nodes" else placed.first_cell
            mask[first : first + len(members)] |= members

    def _add_nodes_of(self, keyword: Keyword, elset: str, mask: Mask) -> None:
        """Add the nodes of the elements of a set."""
        chosen = self.own.sets.cells.get(name_key(elset))
        if chosen is None:
            raise self.deck.error(
                keyword, f"uses the set '{elset[:80]}', which is not defined before"
            )
        bodies = [self.own, *self.instances.values()]
        if any(placed.body.left_out for placed in bodies):
            raise self.deck.error(
                keyword, "has the nodes of elements, of which some have no cells; list the nodes"
            )
        self.limits.work(self.deck, keyword, sum(placed.body.size for placed in bodies))
        for placed in bodies:
            at = placed.first_cell
            for cells in placed.body.cells:
                used = cells.nodes[chosen[at : at + len(cells.nodes)]]
                mask[used.ravel() + placed.first_node] = True
                at += len(cells.nodes)
