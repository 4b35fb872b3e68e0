"""Post-processing views of Gmsh's MSH files: fields of the nodes or elements at a time step."""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_mesh.io.readers.gmsh_sections import MshFile
from flare_mesh.io.readers.number_text import read_numbers

_Array = NDArray[Any]
_DATA = ("NodeData", "ElementData", "ElementNodeData")
_LINE = re.compile(rb"[^\n]*\n?")
_MAX_TAGS = 1000


@dataclass(frozen=True)
class View:
    """A section of values by node or element.

    Attributes:
        section: ``"NodeData"``, ``"ElementData"`` or ``"ElementNodeData"``.
        name: Name of the view.
        step: Index and time of its step.
        components: Number of components.
        count: Declared number of nodes or elements.
        content: The values, which follow the head of the section.
    """

    section: str
    name: str
    step: tuple[int, float]
    components: int
    count: int
    content: bytes

    def values(self, order: str | None) -> tuple[_Array, _Array]:
        """Tags [R] and values [R, components] of nodes or elements.

        Args:
            order: Byte order of a binary file; None for text.

        Raises:
            ValueError: If there are more or fewer values than declared.
        """
        width = self.components + 1
        damaged = ValueError(
            f"${self.section} of '{self.name}' declares {self.count} entries of "
            f"{self.components} values, which do not fit its content"
        )
        if order is None:
            rows = read_numbers(self.content, f"${self.section} of '{self.name}'")
            if len(rows) != self.count * width:
                raise damaged
            rows = rows.reshape(-1, width)
            if not (rows[:, 0] == np.floor(rows[:, 0])).all():
                raise damaged
            return rows[:, 0].astype(np.int64), rows[:, 1:]
        size = 4 + 8 * self.components
        if len(self.content) < self.count * size or self.content[self.count * size :].strip():
            raise damaged
        dtype = np.dtype([("tag", f"{order}i4"), ("value", f"{order}f8", (self.components,))])
        records = np.frombuffer(self.content, dtype, self.count)
        return records["tag"].astype(np.int64), records["value"].astype(float)


def read_views(file: MshFile) -> list[View]:
    """Heads of all views of a file.

    Raises:
        ValueError: If a head is damaged.
    """
    return [_view(name, content) for name, content in file.sections if name in _DATA]


def view_steps(views: list[View]) -> list[tuple[int, float]]:
    """Steps of the views in order, index and time; one at most if no view has several."""
    steps: dict[tuple[str, str], set[tuple[int, float]]] = {}
    for view in views:
        steps.setdefault((view.section, view.name), set()).add(view.step)
    if all(len(found) < 2 for found in steps.values()):
        return []
    return sorted(set().union(*steps.values()))


def _view(section: str, content: bytes) -> View:
    lines = _Lines(content, section)
    texts = [lines.next().strip().strip('"') for _ in range(lines.count())]
    reals = [lines.number(float) for _ in range(lines.count())]
    integers = [lines.number(int) for _ in range(lines.count())]
    if len(integers) < 3:
        raise ValueError(
            f"expected time step, number of components and number of entries in ${section} "
            f"(got {len(integers)} numbers)"
        )
    # A second text names the interpolation scheme, which does not change the values at nodes.
    name = texts[0] if texts else ""
    index, components, count = integers[:3]
    time = reals[0] if reals else float(index)
    if components < 1 or count < 0 or time != time:
        raise ValueError(
            f"expected a time, and positive numbers of components and entries in ${section} of "
            f"'{name}' (got {time:g}, {components} and {count})"
        )
    return View(section, name, (index, time), components, count, lines.rest())


class _Lines:
    """Lines of the head of a section, which are text in binary files, too."""

    def __init__(self, content: bytes, section: str) -> None:
        self._content, self._section, self._next = content, section, 0

    def next(self) -> str:
        found = _LINE.match(self._content, self._next)
        if found is None or not found[0]:
            raise ValueError(f"the head of ${self._section} ends too early; it is damaged")
        self._next = found.end()
        return found[0].decode(errors="replace").strip()

    def number(self, kind: type[int] | type[float]) -> Any:
        text = self.next()
        try:
            return kind(text)
        except ValueError:
            raise ValueError(
                f"expected a number in the head of ${self._section} (got {text[:40]!r})"
            ) from None

    def count(self) -> int:
        count = self.number(int)
        if not 0 <= count < _MAX_TAGS:
            raise ValueError(f"${self._section} declares {count} tags; it is damaged")
        return count

    def rest(self) -> bytes:
        return self._content[self._next :]
