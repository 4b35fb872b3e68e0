"""Native meshes of SU2.

Source: SU2 documentation, "Mesh File".
"""

import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_mesh.io.mesh_file_warning import MeshFileWarning
from flare_mesh.io.readers.flat_cells import CellBlock, flat_cells
from flare_mesh.io.readers.number_text import read_numbers
from flare_mesh.io.readers.row_runs import run_length
from flare_mesh.mesh.cell_storage import CELL_NAMES
from flare_mesh.mesh.cells import CELL_NODES

_Array = NDArray[Any]
_COMMENT = re.compile(rb"%[^\n]*")
_KEYWORD = re.compile(rb"^[ \t]*([A-Za-z_]\w*)[ \t]*=[ \t]*([^\r\n]*?)[ \t\r]*$", re.MULTILINE)
_LINE = re.compile(rb"\S[^\n]*")
_KNOWN = ("NDIME", "NELEM", "NPOIN", "NMARK", "MARKER_TAG", "MARKER_ELEMS", "NZONE", "IZONE")
_DATA = ("NELEM", "NPOIN", "MARKER_ELEMS")
_TYPES = (1, 3, 5, 9, 10, 12, 13, 14)  # VTK's numbers
_HALO = "SEND_RECEIVE"  # nodes that a part of a mesh exchanges with others


@dataclass(frozen=True)
class _Entry:
    """A keyword with its value, and the lines up to the next one."""

    key: str
    value: str
    text: bytes

    @property
    def count(self) -> int:
        found = re.match(r"\d{1,18}\b", self.value)
        if found is None:
            raise ValueError(f"expected a number after {self.key}= (got {self.value[:40]!r})")
        return int(found[0])


def read_su2(path: Path, step: int | None, max_bytes: int) -> dict[str, _Array]:
    """Read the elements of a mesh, followed by those of its markers.

    A marker is a cell field of zeros and ones. Numbers of points that are no numbers from 0 are
    left out with a :class:`~flare_mesh.io.MeshFileWarning`: SU2 counts the points by their lines.

    Raises:
        ValueError: If the file is damaged, or has several zones.
    """
    entries = _entries(path.read_bytes())
    zones = [entry.value for entry in entries if entry.key == "NZONE" and entry.count != 1]
    if zones:
        raise ValueError(f"it has {zones[0]} zones; write each into a file of its own")
    dim, elements, points, markers = (
        _only(entries, key) for key in ("NDIME", "NELEM", "NPOIN", "NMARK")
    )
    if dim.count not in (2, 3):
        raise ValueError(f"expected NDIME= 2 or 3 (got {dim.value})")
    tags = [entry for entry in entries if entry.key == "MARKER_TAG"]
    if len(tags) != markers.count:
        raise ValueError(f"NMARK= {markers.value} does not fit its {len(tags)} MARKER_TAG= entries")
    blocks = _elements(elements, 0)
    num_cells = elements.count
    members: dict[str, list[slice]] = {}
    for number, entry in enumerate(entries):
        if entry.key != "MARKER_ELEMS":
            continue
        tag = entries[number - 1]
        if tag.key != "MARKER_TAG":
            raise ValueError("expected MARKER_TAG= before each MARKER_ELEMS=")
        if tag.value.upper() != _HALO:
            blocks += _elements(entry, num_cells)
            members.setdefault(tag.value, []).append(slice(num_cells, num_cells + entry.count))
            num_cells += entry.count
    if sum(entry.key == "MARKER_ELEMS" for entry in entries) != len(tags):
        raise ValueError("expected MARKER_ELEMS= after each MARKER_TAG=; it is cut off")
    if len(members) * num_cells > max_bytes:
        raise ValueError(f"its markers take more than {max_bytes:,} bytes")
    fields = {}
    for name, places in members.items():
        flag = fields[f"cell:{name}"] = np.zeros(num_cells, np.uint8)
        for place in places:
            flag[place] = 1
    return flat_cells(blocks) | {"points": _points(path, points, dim.count)} | fields


def _entries(content: bytes) -> list[_Entry]:
    """The keywords of a file in their order.

    Raises:
        ValueError: If a line belongs to no keyword, or the last line is incomplete.
    """
    content = _COMMENT.sub(b"", content.removeprefix(b"\xef\xbb\xbf"))
    found = list(_KEYWORD.finditer(content))
    ends = [*(match.start() for match in found[1:]), len(content)]
    if not found or content[: found[0].start()].strip():
        raise ValueError("expected a SU2 mesh, which begins with NDIME=")
    entries = []
    for match, end in zip(found, ends, strict=True):
        key, text = match[1].decode().upper(), content[match.end() : end]
        entries.append(_Entry(key, match[2].decode(errors="replace"), text))
        line = _LINE.search(text)
        if key in _KNOWN and key not in _DATA and line:
            got = line[0][:40].decode(errors="replace")
            raise ValueError(f"expected a keyword and '=' after {key}= (got {got!r})")
    if entries[-1].key in _DATA and entries[-1].text.strip() and not content.endswith(b"\n"):
        raise ValueError("its last line does not end: it is cut off, or lacks the end of the line")
    return entries


def _only(entries: list[_Entry], key: str) -> _Entry:
    found = [entry for entry in entries if entry.key == key]
    if len(found) != 1:
        raise ValueError(f"expected {key}= once (got it {len(found)} times)")
    return found[0]


def _elements(entry: _Entry, first: int) -> list[CellBlock]:
    """Elements of one entry, whose places in the mesh begin with ``first``."""
    values = read_numbers(entry.text, f"the elements of {entry.key}=", np.int64)
    lines = _LINE.findall(entry.text)
    damaged = ValueError(
        f"{entry.key}= {entry.value} does not fit its {len(lines)} lines; it is damaged"
    )
    if len(lines) != entry.count:
        raise damaged
    blocks: list[CellBlock] = []
    position = found = 0
    # A line is the type of an element, its nodes and, in all lines or none, its number.
    extra = None
    while found < entry.count and position < len(values):
        number = int(values[position])
        if number not in _TYPES:
            raise ValueError(f"elements of the type {number} are not supported in {entry.key}=")
        kind = CELL_NAMES[number]
        width = 1 + CELL_NODES[kind]
        if extra is None:
            extra = len(lines[0].split()) - width
        if extra not in (0, 1):
            raise ValueError(
                f"expected a type, {width - 1} nodes and a number in the first line of "
                f"{entry.key}= (got {lines[0][:40].decode(errors='replace')!r})"
            )
        limit = min(entry.count - found, (len(values) - position) // (width + extra))
        size = run_length(values[position:], width + extra, slice(0, 1), limit)
        if not size:
            break
        rows = values[position : position + size * (width + extra)].reshape(size, -1)
        place = np.arange(first + found, first + found + size)
        blocks.append(CellBlock(kind, rows[:, 1:width], place, {}))
        position, found = position + rows.size, found + size
    if found != entry.count or position != len(values):
        raise damaged
    return blocks


def _points(path: Path, entry: _Entry, dim: int) -> _Array:
    values = read_numbers(entry.text, "the points of NPOIN=")
    count = entry.count
    if dim == 2 and count and len(values) == 4 * count:
        # Files that were made of three-dimensional meshes have z, which is 0, before the number.
        four = values.reshape(count, 4)
        if not four[:, 2].any() and np.array_equal(four[:, 3], np.arange(count)):
            return four[:, :2]
    if not count or len(values) not in (count * dim, count * (dim + 1)):
        raise ValueError(
            f"expected {count} points of {dim} coordinates, or of these and a number (got "
            f"{len(values)} numbers after NPOIN=)"
        )
    rows = values.reshape(count, -1)
    if rows.shape[1] > dim and not np.array_equal(rows[:, dim], np.arange(count)):
        numbers = rows[:, dim]
        if (numbers != np.floor(numbers)).any() or (np.sort(numbers) == np.arange(count)).all():
            raise ValueError(
                "expected the points in the order of their numbers, from 0; renumber them"
            )
        # SU2 does not read these numbers: elements refer to points by their places.
        text = f"{path}: its points have numbers other than 0 to {count - 1}; their order is used"
        warnings.warn(text, MeshFileWarning, stacklevel=3)
    return rows[:, :dim]
