"""Geometry and variables of EnSight Gold."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_mesh.io.ensight_case import EnSightVariable
from flare_mesh.io.ensight_parts import EnSightPart, num_nodes
from flare_mesh.io.ensight_values import EnSightValues
from flare_mesh.io.grid_cells import check_grid, grid_cells, grid_points
from flare_mesh.mesh.cells import check_node_numbers

_GRID_KINDS = {1: "point", 3: "bar2", 9: "quad4", 12: "hexa8"}
_STORED = {"off": False, "assign": False, "given": True, "ignore": True}
_MAX_PARTS = 65_536


def read_gold_geometry(values: EnSightValues) -> tuple[NDArray[Any], list[EnSightPart]]:
    """Points [N, 3] of all parts, and the parts.

    Raises:
        ValueError: If the file is damaged, truncated, or has a part that is not read.
    """
    values.description()
    values.description()
    nodes_have_ids = id_option(values.line(), "node")
    elements_have_ids = id_option(values.line(), "element")
    points: list[NDArray[Any]] = []
    parts: list[EnSightPart] = []
    numbers: set[int] = set()
    total = 0
    line = ""
    while line or not values.at_end():
        line = line or values.line()
        if line == "extents":
            values.floats(6)
            line = ""
            continue
        if line != "part":
            raise ValueError(f"expected 'part' (got '{line[:60]}')")
        number = int(values.ints(1)[0])
        if not 0 < number <= _MAX_PARTS or number in numbers:
            raise ValueError(f"expected another number of a part, from 1 (got {number})")
        numbers.add(number)
        values.description()
        kind, *options = values.line().split() or [""]
        if kind == "coordinates":
            (count,) = _counts(values, 1)
            if nodes_have_ids:
                values.ints(count)
            part = EnSightPart(number, total, count)
            points.append(np.stack([values.floats(count) for _ in range(3)], axis=1))
            line = _read_elements(values, part, elements_have_ids)
        elif kind == "block":
            dimensions = _counts(values, 3)
            part = EnSightPart(number, total, math.prod(dimensions), is_grid=True)
            points.append(_grid(values, dimensions, options))
            cells, code = grid_cells(dimensions)
            part.blocks.append((_GRID_KINDS[code], cells + total))
            line = _skip_grid_ids(values, part.num_points, len(cells))
        else:
            raise ValueError(f"expected 'coordinates' or 'block' (got '{kind[:60]}')")
        parts.append(part)
        total += part.num_points
    if not parts:
        raise ValueError("expected a part (the file ends); truncated")
    return np.concatenate(points), parts


def read_gold_variable(
    values: EnSightValues, variable: EnSightVariable, parts: list[EnSightPart], num_points: int
) -> tuple[Any, list[int]]:
    """Values of a variable, and the parts that have none.

    Raises:
        ValueError: If the file is damaged, truncated, or does not fit the geometry.
    """
    by_number = {part.number: part for part in parts}
    values.description()
    on_nodes: dict[int, NDArray[Any]] = {}
    on_elements: dict[tuple[int, str], NDArray[Any]] = {}
    line = ""
    while line or not values.at_end():
        line = line or values.line()
        if line != "part":
            raise ValueError(f"expected 'part' (got '{line[:60]}')")
        number = int(values.ints(1)[0])
        if number not in by_number:
            raise ValueError(f"expected a part of the geometry (got {number})")
        part = by_number[number]
        line = ""
        while not values.at_end() and (line := values.line()) != "part":
            kind, *options = line.split() or [""]
            line = ""
            if options:
                raise ValueError(f"'{' '.join(options)[:60]}' of '{variable.name}' is not read")
            if variable.on_nodes:
                if kind != ("block" if part.is_grid else "coordinates") or number in on_nodes:
                    raise ValueError(f"expected values of part {number} once (got '{kind[:60]}')")
                on_nodes[number] = _channels(values, variable, part.num_points)
                continue
            names = {"block" if part.is_grid else name: len(nodes) for name, nodes in part.blocks}
            if kind not in names or (number, kind) in on_elements:
                raise ValueError(f"expected elements of part {number} (got '{kind[:60]}')")
            on_elements[number, kind] = _channels(values, variable, names[kind])
    if not on_nodes and not on_elements:
        raise ValueError("expected values of a part (the file ends); truncated")
    if variable.on_nodes:
        missing = [p.number for p in parts if p.num_points and p.number not in on_nodes]
        found = [on_nodes[p.number] for p in parts if p.number in on_nodes]
        return (None if missing else np.concatenate(found)), missing
    keys = [
        (part.number, "block" if part.is_grid else name)
        for part in parts
        for name, _ in part.blocks
    ]
    missing = sorted({key[0] for key in keys if key not in on_elements})
    return (None if missing else [on_elements[key] for key in keys]), missing


def id_option(line: str, what: str) -> bool:
    """Whether a file stores the ids of its nodes or elements.

    Raises:
        ValueError: If the line does not state it.
    """
    words = line.lower().split()
    if words[:2] != [what, "id"] or len(words) != 3 or words[2] not in _STORED:
        raise ValueError(
            f"expected '{what} id' and one of {', '.join(_STORED)} (got '{line[:60]}')"
        )
    return _STORED[words[2]]


def _counts(values: EnSightValues, number: int) -> list[int]:
    counts = values.ints(number).tolist()
    if min(counts) < 0:
        raise ValueError(f"expected numbers of nodes or elements (got {counts})")
    return counts


def _read_elements(values: EnSightValues, part: EnSightPart, have_ids: bool) -> str:
    """Read the elements of a part, and the line behind them, empty at the end of the file."""
    while not values.at_end():
        name = values.line()
        if name == "part":
            return name
        size = num_nodes(name)
        (count,) = _counts(values, 1)
        if name in {block for block, _ in part.blocks}:
            raise ValueError(f"expected each type of elements once in a part (got '{name}' twice)")
        if have_ids:
            values.ints(count)
        nodes = values.ints(count * size).reshape(count, size) - 1
        check_node_numbers(name, nodes, part.num_points)
        part.blocks.append((name, nodes + part.first))
    return ""


def _grid(values: EnSightValues, dimensions: list[int], options: list[str]) -> NDArray[Any]:
    check_grid(dimensions, values.num_bytes)
    count = math.prod(dimensions)
    kind = options[0] if options else "curvilinear"
    if len(options) > 1 or kind not in ("curvilinear", "rectilinear", "uniform"):
        raise ValueError(f"'block {' '.join(options)[:60]}' is not read")
    if kind == "curvilinear":
        return np.stack([values.floats(count) for _ in range(3)], axis=1)
    if kind == "rectilinear":
        return grid_points([values.floats(size) for size in dimensions])
    numbers = values.floats(6).tolist()
    steps = zip(numbers[:3], numbers[3:], dimensions, strict=True)
    return grid_points([start + np.arange(size) * by for start, by, size in steps])


def _skip_grid_ids(values: EnSightValues, num_points: int, num_cells: int) -> str:
    while not values.at_end():
        line = values.line()
        if line not in ("node_ids", "element_ids"):
            return line
        values.ints(num_points if line == "node_ids" else num_cells)
    return ""


def _channels(values: EnSightValues, variable: EnSightVariable, count: int) -> NDArray[Any]:
    columns = [values.floats(count) for _ in range(variable.channels)]
    return columns[0] if len(columns) == 1 else np.stack(columns, axis=1)
