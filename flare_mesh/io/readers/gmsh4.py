"""Nodes and elements of version 4.1 of Gmsh's MSH format."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_mesh.io.readers.gmsh_elements import ElementBlock, cell_kind
from flare_mesh.io.readers.gmsh_numbers import SectionNumbers, section_numbers
from flare_mesh.io.readers.gmsh_sections import MshFile
from flare_mesh.mesh.cells import CELL_NODES

_Array = NDArray[Any]
_Groups = dict[tuple[int, int], _Array]


def read_nodes(file: MshFile) -> tuple[_Array, _Array]:
    """Tags [N] and coordinates [N, 3] of the nodes.

    Raises:
        ValueError: If the section is missing or damaged.
    """
    numbers = _needed(file, "Nodes")
    blocks, total = numbers.sizes(4)[:2].tolist()
    tags, points = [np.empty(0, np.int64)], [np.empty((0, 3))]
    for _ in range(blocks):
        dim, _, parametric = numbers.ints(3).tolist()
        if not 0 <= dim <= 3:
            raise ValueError(f"expected a dimension from 0 to 3 in $Nodes (got {dim})")
        count = numbers.size()
        tags.append(numbers.sizes(count))
        width = 3 + (dim if parametric else 0)
        points.append(numbers.reals(count * width).reshape(count, width)[:, :3])
    numbers.finish()
    _check_total("Nodes", total, sum(map(len, tags)))
    return np.concatenate(tags), np.concatenate(points).astype(float)


def read_elements(file: MshFile) -> list[ElementBlock]:
    """Elements with the physical groups of their entities, in the order of the file.

    Raises:
        ValueError: If a section is missing or damaged, or an element type is not supported.
    """
    groups = _entities(file) | _partitioned_entities(file)
    numbers = _needed(file, "Elements", whole=True)
    count, total = numbers.sizes(4)[:2].tolist()
    blocks = []
    for _ in range(count):
        dim, entity, number = numbers.ints(3).tolist()
        kind, size = cell_kind(number), numbers.size()
        width = 1 + CELL_NODES[kind]
        rows = numbers.sizes(size * width).reshape(size, width)
        found = groups.get((dim, entity), np.empty(0, np.int64))
        blocks.append(ElementBlock(kind, rows[:, 0], rows[:, 1:], np.array([entity]), found[None]))
    numbers.finish()
    _check_total("Elements", total, sum(len(block.tags) for block in blocks))
    return blocks


def _needed(file: MshFile, name: str, *, whole: bool = False) -> SectionNumbers:
    numbers = section_numbers(file, name, whole=whole)
    if numbers is None:
        raise ValueError(f"it has no section ${name}, thus no mesh; save the mesh with it")
    return numbers


def _check_total(name: str, declared: int, got: int) -> None:
    if declared != got:
        raise ValueError(f"${name} declares {declared} entries (got {got}); it is damaged")


def _entities(file: MshFile) -> _Groups:
    """Physical groups of the entities by dimension and tag."""
    numbers = section_numbers(file, "Entities")
    groups: _Groups = {}
    if numbers is None:
        return groups
    for dim, count in enumerate(numbers.sizes(4).tolist()):
        for _ in range(count):
            tag = int(numbers.ints(1)[0])
            groups[dim, tag] = _groups(numbers, dim)
    numbers.finish()
    return groups


def _partitioned_entities(file: MshFile) -> _Groups:
    """Physical groups of the entities of partitions by dimension and tag."""
    numbers = section_numbers(file, "PartitionedEntities")
    groups: _Groups = {}
    if numbers is None:
        return groups
    numbers.size()  # number of partitions
    numbers.ints(2 * numbers.size())  # ghost entities with their partitions
    for dim, count in enumerate(numbers.sizes(4).tolist()):
        for _ in range(count):
            tag = int(numbers.ints(3)[0])  # with dimension and tag of the parent
            numbers.ints(numbers.size())  # partitions
            groups[dim, tag] = _groups(numbers, dim)
    numbers.finish()
    return groups


def _groups(numbers: SectionNumbers, dim: int) -> _Array:
    """Physical groups of an entity, between its place and its boundary.

    A negative tag stands for the group with the opposite orientation.
    """
    numbers.reals(6 if dim else 3)
    groups = np.abs(numbers.ints(numbers.size()).astype(np.int64))
    if dim:
        numbers.ints(numbers.size())
    return groups
