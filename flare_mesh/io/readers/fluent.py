"""Mesh and case files of ANSYS Fluent, text and binary.

Source: ANSYS Fluent User's Guide, appendix "Mesh File Format". A file lists the faces with the
cells on both sides of each; the nodes of the cells follow from their faces.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_mesh.io.readers.flat_cells import CellBlock, flat_cells
from flare_mesh.io.readers.fluent_cells import cells_from_faces
from flare_mesh.io.readers.fluent_sections import Section, read_sections

_Array = NDArray[Any]
_DIMENSION, _MACHINE, _ZONES = 2, 4, (39, 45)
_NODES, _CELLS, _FACES = 10, 12, 13
_NUMBERS = re.compile(rb"\d+")
_ZONE = re.compile(rb"\(\s*(\d+)\s+[^\s()]+\s+([^\s()]+)")
_LITTLE_ENDIAN = 60
_INACTIVE_CELLS, _PARENT_FACES = 32, 31
_KINDS = {1: "triangle", 2: "tetra", 3: "quad", 4: "hexahedron", 5: "pyramid", 6: "wedge"}
_MIXED, _POLYGONS, _POLYHEDRA = 0, 5, 7


def read_fluent(path: Path, step: int | None, max_bytes: int) -> dict[str, _Array]:
    """Read the cells of a mesh or case file.

    A named zone of cells is a cell field of zeros and ones, a named zone of boundary faces such a
    field of its nodes.

    Raises:
        ValueError: If the file is damaged, or has polyhedra, polygons or hanging nodes.
    """
    sections = list(read_sections(path.read_bytes()))
    first = {section.index: section.body or b"" for section in reversed(sections)}
    for index, name in ((58, "a tree of cells"), (59, "a tree of faces")):
        if index in first:
            raise ValueError(
                f"it has {name}, thus hanging nodes, which are not supported; save the mesh before "
                f"its adaption"
            )
    machine = _NUMBERS.search(first.get(_MACHINE, b""))
    order = "<" if machine is None or int(machine[0]) == _LITTLE_ENDIAN else ">"
    points = _points(_entries(sections, _NODES, "nodes"), first.get(_DIMENSION, b""), order)
    zones = _entries(sections, _CELLS, "cells")
    num_cells = sum(zone.count for zone in zones)
    face_zones = _entries(sections, _FACES, "faces")
    faces, sides, bounds = _faces(face_zones, order, points.shape[1])
    if 3 * num_cells > 2 * len(faces):
        raise ValueError(f"{len(faces)} faces are too few for {num_cells} cells; it is damaged")
    if faces.max(initial=-1) >= len(points) or sides.max(initial=-1) >= num_cells:
        raise ValueError("a face refers to a node or a cell that the file does not define")
    blocks = [
        CellBlock(kind, nodes, rows, {})
        for kind, rows, nodes in cells_from_faces(faces, sides, num_cells, points)
    ]
    _check_kinds(zones, blocks, order)
    names = _names(sections)
    if (len(zones) + len(face_zones)) * max(num_cells, len(points)) > max_bytes:
        raise ValueError(f"its zones take more than {max_bytes:,} bytes")
    fields: dict[str, _Array] = {}
    for zone in zones:
        if zone.head[0] in names:
            flag = fields.setdefault(f"cell:{names[zone.head[0]]}", np.zeros(num_cells, np.uint8))
            flag[zone.head[1] - 1 : zone.head[2]] = 1
    for zone, start, stop in zip(face_zones, bounds, bounds[1:], strict=False):
        boundary = faces[start:stop][(sides[:, start:stop] < 0).any(axis=0)]
        if zone.head[0] in names and len(boundary):
            flag = fields.setdefault(f"node:{names[zone.head[0]]}", np.zeros(len(points), np.uint8))
            flag[boundary[boundary >= 0]] = 1
    return flat_cells(blocks) | {"points": points} | fields


def _entries(sections: Sequence[Section], index: int, noun: str) -> list[Section]:
    """Sections of a kind with entries, in the order of their entries.

    Raises:
        ValueError: If there are none, or their entries are not those from 1 to the declared number.
    """
    chosen = [section for section in sections if section.index == index]
    # Zone 0 declares the number of all entries.
    declared = [section.head[2] for section in chosen if section.head[0] == 0]
    zones = sorted((s for s in chosen if s.head[0]), key=lambda section: section.head[1])
    last = 0
    for zone in zones:
        if zone.head[1] != last + 1:
            raise ValueError(f"its {noun} {last + 1} to {zone.head[1] - 1} are missing or repeated")
        last = zone.head[2]
        if index != _CELLS and zone.count and zone.body is None:
            raise ValueError(f"zone {zone.head[0]} has no {noun}; the file is damaged")
    if not last:
        raise ValueError(
            f"expected one of the sections {index}, {2000 + index} and {3000 + index} with its "
            f"{noun} (got none); export the mesh with them"
        )
    if declared and last != declared[0]:
        raise ValueError(f"it declares {declared[0]} {noun} (got {last}); it is cut off")
    return [zone for zone in zones if zone.count]


def _points(zones: list[Section], dimension: bytes, order: str) -> _Array:
    found = _NUMBERS.search(dimension)
    dim = int(found[0]) if found else zones[0].head[4] if len(zones[0].head) > 4 else 0
    if dim not in (2, 3):
        raise ValueError(f"expected 2 or 3 dimensions in section {_DIMENSION} (got {dim})")
    parts = []
    for zone in zones:
        values = zone.reals(order)
        if len(values) != zone.count * dim:
            raise ValueError(
                f"expected {zone.count} nodes of {dim} coordinates in zone {zone.head[0]} (got "
                f"{len(values)} numbers)"
            )
        parts.append(values.reshape(-1, dim))
    return np.concatenate(parts)


def _faces(zones: list[Section], order: str, dim: int) -> tuple[_Array, _Array, list[int]]:
    """Rows of nodes [F, 4] and of the cells on both sides [2, F], and the first face of each zone.

    -1 stands for no node or cell.
    """
    rows = []
    for zone in zones:
        if len(zone.head) < 5:
            raise ValueError(f"expected type and kind of the faces in zone {zone.head[0]}")
        if zone.head[3] == _PARENT_FACES:
            raise ValueError("it has parent faces, thus hanging nodes, which are not supported")
        values, size = zone.integers(order), zone.head[4]
        if size not in (_MIXED, 2, 3, 4, _POLYGONS):
            raise ValueError(f"zone {zone.head[0]} has faces of the unknown kind {size}")
        if size in (_MIXED, _POLYGONS):
            table = _mixed(values, zone)
        elif len(values) == zone.count * (size + 2):
            table = np.full((zone.count, 6), 0, np.int64)
            table[:, :size] = values.reshape(-1, size + 2)[:, :-2]
            table[:, 4:] = values.reshape(-1, size + 2)[:, -2:]
        else:
            raise ValueError(
                f"expected {zone.count} faces of {size} nodes in zone {zone.head[0]} (got "
                f"{len(values)} numbers)"
            )
        rows.append(table - 1)
    table = np.concatenate(rows)
    sizes = (table[:, :4] >= 0).sum(axis=1)
    if table.min(initial=0) < -1 or ((sizes < 3) != (dim == 2)).any():
        raise ValueError(f"it has faces that do not fit {dim} dimensions; it is damaged")
    bounds = np.cumsum([0, *(len(part) for part in rows)]).tolist()
    return table[:, :4], table[:, 4:].T, bounds


def _mixed(values: _Array, zone: Section) -> _Array:
    """Faces that begin with their number of nodes: up to four nodes and both cells, [F, 6]."""
    numbers, starts, position = values.tolist(), [], 0
    while position < len(numbers) and len(starts) < zone.count:
        starts.append(position)
        if numbers[position] > 4:
            raise ValueError(
                f"zone {zone.head[0]} has faces of {numbers[position]} nodes: polyhedra are not "
                f"supported; mesh the part with tetrahedra, hexahedra, wedges and pyramids"
            )
        if numbers[position] < 2:
            raise ValueError(f"zone {zone.head[0]} has a face with less than two nodes")
        position += numbers[position] + 3
    if position != len(numbers) or len(starts) != zone.count:
        raise ValueError(f"expected {zone.count} faces in zone {zone.head[0]}; it is damaged")
    place = np.array(starts, np.int64)
    sizes = values[place]
    table = np.zeros((len(place), 6), np.int64)
    for node in range(4):
        there = sizes > node
        table[there, node] = values[place[there] + 1 + node]
    table[:, 4], table[:, 5] = values[place + sizes + 1], values[place + sizes + 2]
    return table


def _check_kinds(zones: list[Section], blocks: list[CellBlock], order: str) -> None:
    """Refuse cells whose faces are not those of the type that the file declares."""
    kinds = np.zeros(sum(zone.count for zone in zones), np.int64)
    for block in blocks:
        kinds[block.place] = next(n for n, kind in _KINDS.items() if kind == block.kind)
    for zone in zones:
        if len(zone.head) < 5:
            raise ValueError(f"expected type and kind of the cells in zone {zone.head[0]}")
        if zone.head[3] == _INACTIVE_CELLS:
            raise ValueError("it has inactive parent cells, which are not supported")
        declared: Any = zone.head[4]
        if declared == _MIXED:
            declared = zone.integers(order)
            if len(declared) != zone.count:
                raise ValueError(f"expected {zone.count} types of cells in zone {zone.head[0]}")
        here = kinds[zone.head[1] - 1 : zone.head[2]]
        wrong = np.flatnonzero((here != declared) & (np.asarray(declared) != _POLYHEDRA))
        if len(wrong):
            raise ValueError(
                f"cell {wrong[0] + zone.head[1]} has the faces of a {_KINDS[int(here[wrong[0]])]}, "
                f"but is declared as something else; the file is damaged"
            )


def _names(sections: Sequence[Section]) -> dict[int, str]:
    """Name of each zone that has one."""
    names = {}
    for section in sections:
        if section.index in _ZONES:
            found = _ZONE.search(section.body or b"")
            if found:
                names[int(found[1])] = found[2].decode(errors="replace")
    return names
