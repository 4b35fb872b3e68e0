"""Geometry and variables of EnSight 6."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_mesh.io.ensight_case import EnSightVariable
from flare_mesh.io.ensight_gold import id_option
from flare_mesh.io.ensight_parts import EnSightPart, num_nodes
from flare_mesh.io.ensight_values import EnSightText, EnSightValues
from flare_mesh.mesh.cells import check_node_numbers


def read_six_geometry(values: EnSightValues) -> tuple[NDArray[Any], list[EnSightPart]]:
    """Points [N, 3], which all parts share, and the parts.

    Raises:
        ValueError: If the file is damaged, truncated, or has a part that is not read.
    """
    values.description()
    values.description()
    line = values.line()
    nodes_have_ids = id_option(line, "node")
    ids_are_used = line.lower().split()[2] == "given"
    elements_have_ids = id_option(values.line(), "element")
    if (line := values.line()) != "coordinates":
        raise ValueError(f"expected 'coordinates' (got '{line[:60]}')")
    count = _count(values)
    ids, points = _points(values, count, nodes_have_ids)
    parts: list[EnSightPart] = []
    while not values.at_end():
        line = values.line()
        if line.startswith("part"):
            values.description()
            parts.append(EnSightPart(_number(line), 0, count))
            continue
        if not parts:
            raise ValueError(f"expected 'part' (got '{line[:60]}')")
        if line.startswith("block"):
            raise ValueError("structured blocks of EnSight 6 are not read; save as EnSight Gold")
        size, elements = num_nodes(line), _count(values)
        nodes = _elements(values, elements, size, elements_have_ids)
        nodes = _places(nodes, ids) if ids_are_used and ids is not None else nodes - 1
        check_node_numbers(line, nodes, count)
        parts[-1].blocks.append((line, nodes))
    return points, parts


def read_six_variable(
    values: EnSightValues, variable: EnSightVariable, parts: list[EnSightPart], num_points: int
) -> tuple[Any, list[int]]:
    """Values of a variable, and the parts that have none.

    Raises:
        ValueError: If the file is damaged, truncated, or does not fit the geometry.
    """
    values.description()
    if variable.on_nodes:
        found = _channels(values, variable, num_points)
        if not values.at_end():
            raise ValueError("expected the values of all nodes and nothing else")
        return found, []
    by_number = {part.number: part for part in parts}
    on_elements: dict[tuple[int, str], NDArray[Any]] = {}
    number = 0
    while not values.at_end():
        line = values.line()
        if line.startswith("part"):
            number = _number(line)
            continue
        if number not in by_number:
            raise ValueError(f"expected a part of the geometry (got {number})")
        sizes = {name: len(nodes) for name, nodes in by_number[number].blocks}
        if line not in sizes or (number, line) in on_elements:
            raise ValueError(f"expected elements of part {number} (got '{line[:60]}')")
        on_elements[number, line] = _channels(values, variable, sizes[line])
    if not on_elements:
        raise ValueError("expected values of a part (the file ends); truncated")
    keys = [(part.number, name) for part in parts for name, _ in part.blocks]
    missing = sorted({key[0] for key in keys if key not in on_elements})
    return (None if missing else [on_elements[key] for key in keys]), missing


def _count(values: EnSightValues) -> int:
    count = int(values.ints(1)[0])
    if count < 0:
        raise ValueError(f"expected a number of nodes or elements (got {count})")
    return count


def _number(line: str) -> int:
    word = line.removeprefix("part").strip()
    if not word.isdecimal():
        raise ValueError(f"expected the number of a part (got '{line[:60]}')")
    return int(word)


def _points(
    values: EnSightValues, count: int, have_ids: bool
) -> tuple[NDArray[np.int64] | None, NDArray[Any]]:
    if isinstance(values, EnSightText) and have_ids:
        table = values.floats(4 * count).reshape(count, 4)
        return _integers(table[:, 0]), table[:, 1:]
    ids = values.ints(count) if have_ids else None
    return ids, values.floats(3 * count).reshape(count, 3)


def _elements(values: EnSightValues, count: int, size: int, have_ids: bool) -> NDArray[np.int64]:
    if isinstance(values, EnSightText) and have_ids:
        return values.ints((size + 1) * count).reshape(count, size + 1)[:, 1:]
    if have_ids:
        values.ints(count)
    return values.ints(size * count).reshape(count, size)


def _integers(values: NDArray[np.floating]) -> NDArray[np.int64]:
    if (values != np.round(values)).any():
        raise ValueError("expected integers as ids of nodes")
    return values.astype(np.int64)


def _places(nodes: NDArray[np.int64], ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """Places of nodes that are named by their ids."""
    order = np.argsort(ids, kind="stable")
    if len(ids) and (np.diff(ids[order]) == 0).any():
        raise ValueError("expected each id of a node once")
    at = np.searchsorted(ids, nodes, sorter=order)
    if (at == len(ids)).any() or (ids[order[at]] != nodes).any():
        raise ValueError("expected nodes of elements among the ids of the nodes")
    return order[at]


def _channels(values: EnSightValues, variable: EnSightVariable, count: int) -> NDArray[Any]:
    found = values.floats(count * variable.channels)
    return found if variable.channels == 1 else found.reshape(count, variable.channels)
