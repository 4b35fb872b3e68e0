"""I-deas universal files.

Source: universal datasets 15, 164, 780, 781, 2411, 2412, 2420 and 2467.
"""

import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_mesh.io.mesh_file_warning import MeshFileWarning
from flare_mesh.io.readers.flat_cells import CellBlock, flat_cells
from flare_mesh.io.readers.labels import Labels
from flare_mesh.io.readers.number_text import read_numbers
from flare_mesh.io.readers.unv_elements import read_elements

_Array = NDArray[Any]
_DELIMITER = re.compile(rb"^[ \t]*-1[ \t\r]*$", re.MULTILINE)
_NUMBER = re.compile(rb"\s*(\d{1,6})[ \t\r]*$", re.MULTILINE)
_NODES, _ELEMENTS = (2411, 781, 15), (2412, 780)
_UNITS, _SYSTEMS, _GROUPS = 164, 2420, (2467, 2477, 2452, 2435)
_RESULTS = (55, 56, 57, 2414)
_NODE, _ELEMENT = 7, 8  # types of the members of a group
_CARTESIAN = 0
_EXACT = 1e-12


def read_unv(path: Path, step: int | None, max_bytes: int) -> dict[str, _Array]:
    """Read nodes and elements; a group is a node or cell field of zeros and ones.

    Raises:
        ValueError: If the file is damaged, has no elements, or has nodes in another coordinate
            system or elements that are not supported.
    """
    datasets = list(_datasets(path.read_bytes()))
    systems = [system for number, text in datasets if number == _SYSTEMS for system in _local(text)]
    parts = [_nodes(number, text, systems) for number, text in datasets if number in _NODES]
    if not parts:
        raise ValueError("it has no nodes (dataset 2411); export the mesh with them")
    nodes = Labels(np.concatenate([labels for labels, _ in parts]), "node")
    points = np.concatenate([coordinates for _, coordinates in parts])
    blocks, labels, num_cells, left_out = [], [np.empty(0, np.int64)], 0, 0
    for number, text in datasets:
        for kind, numbers, corners in read_elements(text, number) if number in _ELEMENTS else ():
            if kind is None:
                left_out += len(numbers)
                continue
            rows = nodes.rows(corners, f"elements of type {kind}")
            place = np.arange(num_cells, num_cells + len(numbers))
            blocks.append(CellBlock(kind, rows, place, {}))
            labels.append(numbers)
            num_cells += len(numbers)
    if not blocks:
        raise ValueError("it has no elements (dataset 2412); export the mesh with them")
    elements = Labels(np.concatenate(labels), "element")
    fields: dict[str, _Array] = {}
    for number, text in datasets:
        for name, members in _groups(number, text) if number in _GROUPS else ():
            for kind, place, known in ((_NODE, "node:", nodes), (_ELEMENT, "cell:", elements)):
                rows = known.find(members[members[:, 0] == kind, 1])
                if not (rows >= 0).any():
                    continue
                size = len(points) if kind == _NODE else num_cells
                if size * (len(fields) + 1) > max_bytes:
                    raise ValueError(f"its groups take more than {max_bytes:,} bytes")
                fields.setdefault(place + name, np.zeros(size, np.uint8))[rows[rows >= 0]] = 1
    results = sorted({number for number, _ in datasets if number in _RESULTS})
    if left_out:
        _warn(path, f"{left_out} springs, masses and rigid elements are left out")
    if results:
        _warn(path, f"the results of the datasets {', '.join(map(str, results))} are not read")
    for number, text in datasets:
        if number == _UNITS:
            _check_units(path, text)
    return flat_cells(blocks) | {"points": points} | fields


def _datasets(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Number and content of each dataset.

    Raises:
        ValueError: If a dataset does not end, or something is outside of the datasets.
    """
    lines = list(_DELIMITER.finditer(content))
    if not lines:
        raise ValueError(
            "expected a universal file, whose datasets begin and end with a line of -1"
        )
    ends = [0, *(line.end() for line in lines)]
    starts = [*(line.start() for line in lines), len(content)]
    if len(lines) % 2:
        raise ValueError("its last dataset has no line of -1 at its end; it is cut off")
    for number in range(0, len(starts), 2):
        outside = content[ends[number] : starts[number]].split()
        if outside:
            got = outside[0][:40].decode(errors="replace")
            raise ValueError(f"expected a dataset between two lines of -1 (got {got!r} outside)")
    for number in range(1, len(starts), 2):
        text = content[ends[number] : starts[number]]
        found = _NUMBER.match(text)
        if found:  # others are binary, such as 58b, and hold measurements
            yield int(found[1]), text[found.end() :]


def _nodes(number: int, text: bytes, systems: list[tuple[int, bool]]) -> tuple[_Array, _Array]:
    """Labels [N] and coordinates [N, 3] of a dataset of nodes."""
    values = _reals(text, number)
    lines = sum(1 for line in text.splitlines() if line.strip())
    per_node = 1 if number == 15 else 2
    if len(values) % 7 or per_node * len(values) != 7 * lines:
        raise ValueError(
            f"expected 7 numbers on {per_node} line of each node in dataset {number} (got "
            f"{len(values)} on {lines})"
        )
    rows = values.reshape(-1, 7)
    if not (rows[:, :4] == np.floor(rows[:, :4])).all():
        raise ValueError(f"expected integers as labels of the nodes in dataset {number}")
    used = np.unique(rows[:, 1]).astype(np.int64).tolist()
    # Dataset 2411 has the coordinates in the part's system, which may be another than the global
    # one; the older datasets in the system of the number.
    bad = [n for n, is_global in systems if n in used and not is_global]
    if number != 2411:
        bad = [n for n in used if n]
    if bad:
        raise ValueError(
            f"nodes of dataset {number} are in the coordinate system {bad[0]}, which is not "
            f"supported; export them in the global Cartesian system"
        )
    return rows[:, 0].astype(np.int64), rows[:, 4:]


def _local(text: bytes) -> Iterator[tuple[int, bool]]:
    """Each coordinate system of dataset 2420, and whether it is the global Cartesian one."""
    # Part and its name, then for each system: its number and kind, its name, four rows of a matrix.
    records = text.splitlines()[3:]
    for first in range(0, len(records), 6):
        head = read_numbers(records[first], f"dataset {_SYSTEMS}", np.int64).tolist()
        matrix = _reals(b" ".join(records[first + 2 : first + 6]), _SYSTEMS)
        if len(head) != 3 or len(matrix) != 12:
            raise ValueError(f"expected a number, a name and a matrix in dataset {_SYSTEMS}")
        moved = np.abs(matrix - np.eye(4, 3).ravel()).max() > _EXACT
        yield head[0], head[1] == _CARTESIAN and not moved


def _groups(number: int, text: bytes) -> Iterator[tuple[str, _Array]]:
    """Name of each group, and type and label of its members, [M, 4]."""
    lines = text.splitlines()[1:]
    position = 0
    while position < len(lines):
        if not lines[position].strip():
            position += 1
            continue
        head = read_numbers(lines[position], f"dataset {number}", np.int64)
        if len(head) != 8 or position + 1 >= len(lines) or head[7] < 0:
            raise ValueError(f"expected 8 integers and a name for a group in dataset {number}")
        last = position + 2 + (int(head[7]) + 1) // 2
        members = b" ".join(lines[position + 2 : last])
        values = read_numbers(members, f"dataset {number}", np.int64)
        if len(values) != 4 * int(head[7]):
            raise ValueError(f"group {head[0]} in dataset {number} declares {head[7]} members")
        name = lines[position + 1].decode(errors="replace").strip()
        yield name or f"group_{head[0]}", values.reshape(-1, 4)
        position = last


def _check_units(path: Path, text: bytes) -> None:
    lines = text.splitlines()[1:]
    factors = _reals(b" ".join(lines[1:]), _UNITS)
    if len(factors) and factors[0] != 1:
        name = lines[0][10:30].decode(errors="replace").strip()
        _warn(path, f"lengths are in units of 1/{factors[0]:g} m ({name}), and are not converted")


def _reals(text: bytes, number: int) -> _Array:
    return read_numbers(text.replace(b"D", b"E").replace(b"d", b"e"), f"dataset {number}")


def _warn(path: Path, text: str) -> None:
    warnings.warn(f"{path}: {text}", MeshFileWarning, stacklevel=2)
