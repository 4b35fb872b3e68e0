"""Nodes of a part."""

from dataclasses import dataclass, field
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from flare_mesh.io.readers.abaqus.coordinates import Frame, from_cylindrical, system_frame
from flare_mesh.io.readers.abaqus.data_lines import DataLines, Rows
from flare_mesh.io.readers.abaqus.deck import Deck, Keyword
from flare_mesh.io.readers.abaqus.labels import Labels
from flare_mesh.io.readers.abaqus.limits import Limits

_MAX_NUMBERS = 7  # of a line: the node, its coordinates, its normal
_SAME = 1e-9  # of the mesh's size: how far copies of a node may be apart


@dataclass
class Nodes:
    """Nodes of a part.

    Attributes:
        labels: Their numbers, [N].
        points: Coordinates, [N, 3].
        members: Numbers of the nodes of each keyword with NSET, by the offset of its line.
    """

    labels: NDArray[np.int64]
    points: NDArray[np.float64]
    members: dict[int, NDArray[np.int64]] = field(default_factory=dict)


class NodeReader:
    """Reads the keywords ``*NODE``, ``*NGEN`` and ``*SYSTEM`` of a part."""

    def __init__(self, deck: Deck, limits: Limits) -> None:
        self.deck, self.limits = deck, limits
        self._labels: list[NDArray[np.int64]] = []
        self._points: list[NDArray[np.float64]] = []
        self._lines: list[tuple[DataLines, NDArray[np.int64]]] = []
        self._members: dict[int, NDArray[np.int64]] = {}
        self._known: dict[int, NDArray[np.float64]] | None = None

    def read(self, keywords: list[Keyword]) -> Nodes:
        """Read the keywords in their order.

        Raises:
            ValueError: If one is damaged, or gives a node again at another place.
        """
        frame = None
        kept = (one for one in keywords if one.name in ("NODE", "NGEN", "SYSTEM"))
        if any(one.name == "NGEN" for one in keywords):
            self._known = {}
        for (name, system), group in groupby(kept, self._kind):
            if name == "NODE":
                self._read_nodes(list(group), system, frame)
            elif name == "NGEN":
                for keyword in group:
                    self._generate(keyword)
            else:
                frame = self._frame(list(group)[-1])
        return self._joined()

    def _kind(self, keyword: Keyword) -> tuple[str, str]:
        if keyword.name != "NODE" or not keyword.rest:
            return keyword.name, ""
        given = self.deck.parameters(keyword)
        if "INPUT" in given:
            raise self.deck.error(keyword, "has its data in another file, which is not read")
        system = given.get("SYSTEM", "").upper()
        if system not in ("", "R", "RC", "C"):
            raise self.deck.error(
                keyword,
                f"has the coordinate system '{system[:40]}', which is not read; expected R "
                f"(Cartesian) or C (cylindrical)",
            )
        return "NODE", "C" if system == "C" else ""

    def _frame(self, keyword: Keyword) -> Frame | None:
        self.limits.count(self.deck, keyword)
        try:
            return system_frame(split_rows(DataLines(self.deck, [keyword]).rows()))
        except ValueError as error:
            raise _located(self.deck, keyword, error) from error

    def _read_nodes(self, keywords: list[Keyword], system: str, frame: Frame | None) -> None:
        data = DataLines(self.deck, keywords)
        rows = data.rows()
        counts = rows.counts
        if (counts > _MAX_NUMBERS).any() or (counts < 1).any():
            at = int(np.argmax((counts > _MAX_NUMBERS) | (counts < 1)))
            raise data.error(
                rows.lines[at],
                f"expected a node and up to three coordinates (got {counts[at]} numbers)",
            )
        ends = np.cumsum(counts)
        if len(counts) and (counts == counts[0]).all():
            table = rows.values.reshape(len(counts), -1)
            table = np.pad(table, ((0, 0), (0, max(0, 4 - table.shape[1]))))[:, :4]
        else:
            table = np.zeros((len(counts), 4))
            for column in range(4):
                has = counts > column
                table[has, column] = rows.values[(ends - counts)[has] + column]
        labels = data.labels(table[:, 0], rows.lines)
        points = table[:, 1:]
        if system == "C":
            points = from_cylindrical(points)
        if frame is not None:
            points = frame.apply(points)
        bounds = rows.keyword_slices()
        for keyword, first, last in zip(keywords, bounds[:-1], bounds[1:], strict=True):
            if keyword.rest:
                self._members[keyword.start] = labels[first:last]
        self._add(labels, points, data, rows.lines)

    def _add(
        self,
        labels: NDArray[np.int64],
        points: NDArray[np.float64],
        data: DataLines,
        lines: NDArray[np.int64],
    ) -> None:
        self._labels.append(labels)
        self._points.append(points)
        self._lines.append((data, lines))
        if self._known is not None:
            self._known.update(zip(labels.tolist(), points, strict=True))

    def _generate(self, keyword: Keyword) -> None:
        """Nodes at equal distances between two nodes."""
        deck, known = self.deck, self._known
        assert known is not None
        self.limits.count(deck, keyword)
        given = deck.parameters(keyword)
        if "LINE" in given:
            raise deck.error(
                keyword, "LINE is not read; write the nodes of the arc or parabola to the deck"
            )
        data = DataLines(deck, [keyword])
        rows = data.rows()
        members = []
        for index, values in zip(rows.lines, split_rows(rows), strict=True):
            numbers = [int(value) for value in values]
            if len(numbers) not in (2, 3) or not np.array_equal(numbers, values):
                raise data.error(index, "expected two nodes and an increment")
            first, last = numbers[:2]
            step = numbers[2] if len(numbers) == 3 and numbers[2] else 1
            if first not in known or last not in known:
                missing = first if first not in known else last
                raise data.error(index, f"*NGEN uses node {missing}, which is not defined before")
            count = (last - first) // step
            if count < 1 or first + count * step != last:
                raise data.error(
                    index, f"expected an increment that leads from {first} to {last} (got {step})"
                )
            self.limits.generate(deck, keyword, 4 * count)
            labels = first + step * np.arange(count + 1)
            share = (np.arange(1, count) / count)[:, None]
            between = (1 - share) * known[first] + share * known[last]
            self._add(labels[1:-1], between, data, np.full(count - 1, index))
            members.append(labels)
        if members:
            self._members[keyword.start] = np.concatenate(members)

    def _joined(self) -> Nodes:
        if not self._labels:
            return Nodes(np.empty(0, np.int64), np.empty((0, 3)), self._members)
        labels, points = np.concatenate(self._labels), np.concatenate(self._points)
        again, first = Labels(labels).repeated()
        if len(again):
            size = np.ptp(points, axis=0).max()
            moved = np.abs(points[again] - points[first]).max(1) > _SAME * size
            if moved.any():
                at = int(again[moved].min())
                raise self._error(
                    at, f"node {labels[at]} is defined again with other coordinates; remove one"
                )
            labels, points = np.delete(labels, again), np.delete(points, again, axis=0)
        return Nodes(labels, points, self._members)

    def _error(self, index: int, message: str) -> ValueError:
        for data, lines in self._lines:
            if index < len(lines):
                return data.error(lines[index], message)
            index -= len(lines)
        raise AssertionError(index)


def split_rows(rows: Rows) -> list[NDArray[np.float64]]:
    """The numbers of each line."""
    return np.split(rows.values, np.cumsum(rows.counts)[:-1]) if len(rows.counts) else []


def _located(deck: Deck, keyword: Keyword, error: ValueError) -> ValueError:
    text = str(error)
    return ValueError(text) if text.startswith("line ") else deck.error(keyword, text)
