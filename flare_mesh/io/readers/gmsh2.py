"""Nodes and elements of versions 2.0 to 2.2 of Gmsh's MSH format."""

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_mesh.io.readers.gmsh_elements import ElementBlock, cell_kind
from flare_mesh.io.readers.gmsh_sections import MshFile
from flare_mesh.io.readers.number_text import read_numbers
from flare_mesh.io.readers.row_runs import run_length
from flare_mesh.mesh.cells import CELL_NODES

_Array = NDArray[Any]
_COUNT = re.compile(rb"\s*(\d{1,18})[ \t\r]*(?:\n|$)")
_MAX_TAGS = 1 << 20


def read_nodes(file: MshFile) -> tuple[_Array, _Array]:
    """Tags [N] and coordinates [N, 3] of the nodes.

    Raises:
        ValueError: If the section is missing or damaged.
    """
    count, content = _counted(file, "Nodes")
    if file.order is None:
        rows = read_numbers(content, "$Nodes")
        if len(rows) != 4 * count:
            raise ValueError(
                f"$Nodes declares {count} nodes of four numbers (got {len(rows)} numbers)"
            )
        tags, points = rows[::4], rows.reshape(-1, 4)[:, 1:]
        if not (tags == np.floor(tags)).all():
            raise ValueError("expected integers as numbers of the nodes in $Nodes; it is damaged")
        return tags.astype(np.int64), points
    dtype = np.dtype([("tag", f"{file.order}i4"), ("point", f"{file.order}f8", 3)])
    if len(content) < count * dtype.itemsize or content[count * dtype.itemsize :].strip():
        raise ValueError(
            f"$Nodes declares {count} nodes, which do not fit its {len(content)} bytes"
        )
    records = np.frombuffer(content, dtype, count)
    return records["tag"].astype(np.int64), records["point"].astype(float)


def read_elements(file: MshFile) -> list[ElementBlock]:
    """Elements with their physical group, in the order of the file.

    Raises:
        ValueError: If the section is missing or damaged, or an element type is not supported.
    """
    count, content = _counted(file, "Elements")
    if file.order is None:
        values = read_numbers(content, "$Elements", np.int64)
    else:
        size = len(content) // 4 * 4
        if content[size:].strip():
            raise ValueError("$Elements is damaged")
        values = np.frombuffer(content[:size], f"{file.order}i4").astype(np.int64)
    blocks = []
    for kind, num_tags, rows in _runs(values, count, binary=file.order is not None):
        nodes = rows[:, 1 + num_tags :]
        # The first tags of an element are its physical group and its entity; others are partitions.
        none = np.zeros(len(rows), np.int64)
        group, entity = (rows[:, 1 + i] if num_tags > i else none for i in range(2))
        blocks.append(ElementBlock(kind, rows[:, 0], nodes, entity, np.abs(group)[:, None]))
    return blocks


def _counted(file: MshFile, name: str) -> tuple[int, bytes]:
    """Declared number of entries of a section, and what follows."""
    content = file.section(name)
    if content is None:
        raise ValueError(f"it has no section ${name}, thus no mesh; save the mesh with it")
    count = _COUNT.match(content)
    if count is None:
        raise ValueError(f"expected the number of entries at the begin of ${name}")
    return int(count[1]), content[count.end() :]


def _runs(values: _Array, count: int, *, binary: bool) -> Iterator[tuple[str, int, _Array]]:
    """Elements of equal type and number of tags: number, tags and nodes of each, [E, columns]."""
    position = found = 0
    while found < count and len(values) - position > 3:
        head = values[position : position + 3].tolist()
        # In text, an element is number, type, number of tags, tags and nodes. In binary, a head of
        # type, number of elements and number of tags precedes number, tags and nodes of each.
        number, size, num_tags = head if binary else (head[1], 1, head[2])
        kind = cell_kind(number)
        if not (0 <= num_tags < _MAX_TAGS and 1 <= size <= count - found):
            raise ValueError("$Elements has a wrong number of tags or elements; it is damaged")
        width = 1 + num_tags + CELL_NODES[kind]
        rest = values[position + 3 * binary :]
        if size > 1:
            rows = rest[: size * width]
        else:  # all elements with the same head
            stride = width + (3 if binary else 2)
            same = slice(0, 3) if binary else slice(1, 3)
            limit = min(count - found, (len(values) - position) // stride)
            size = run_length(values[position:], stride, same, limit)
            rows = values[position : position + size * stride].reshape(size, stride)
            rows = rows[:, 3:] if binary else np.delete(rows, [1, 2], axis=1)
            position += size * (stride - width) - 3 * binary
        if rows.size < max(size, 1) * width:
            break
        yield kind, num_tags, rows.reshape(size, width)
        position, found = position + 3 * binary + size * width, found + size
    if found != count or position != len(values):
        raise ValueError(
            f"$Elements declares {count} elements, which do not fit its {len(values)} numbers"
        )
