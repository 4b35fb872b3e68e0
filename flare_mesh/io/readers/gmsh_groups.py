"""Physical groups of Gmsh's MSH files."""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_mesh.io.readers.gmsh_elements import ElementBlock
from flare_mesh.io.readers.gmsh_sections import MshFile
from flare_mesh.io.readers.labels import hash_integers
from flare_mesh.mesh.cells import CELL_TYPES

_Array = NDArray[Any]
_NAME = re.compile(r'\s*(?:(\d+)\s+)?(-?\d+)\s*"(.*)"\s*')
_DIMENSIONS = range(4)


def physical_names(file: MshFile) -> dict[tuple[int, int], str]:
    """Names of the physical groups by dimension and tag.

    Version 2.0 may name a tag without a dimension; then the groups of this tag of all dimensions
    have the name.

    Raises:
        ValueError: If the section is damaged.
    """
    content = file.section("PhysicalNames")
    if content is None:
        return {}
    lines = [line for line in content.decode(errors="replace").splitlines() if line.strip()]
    names = {}
    for line in lines[1:]:
        found = _NAME.fullmatch(line)
        if found is None or (found[1] is None and file.version != 2):
            raise ValueError(
                f"expected dimension, tag and name of a group in $PhysicalNames (got {line[:60]!r})"
            )
        dims = _DIMENSIONS if found[1] is None else (int(found[1]),)
        names |= {(dim, abs(int(found[2]))): found[3] for dim in dims}
    if not lines or lines[0].strip() != str(len(lines) - 1):
        raise ValueError(
            f"expected the number of the names, {len(lines) - 1}, at the begin of $PhysicalNames"
        )
    return names


@dataclass(frozen=True)
class Groups:
    """Physical groups of all elements.

    Attributes:
        first: Tag of the first group of each element, [E]; 0 for none.
        members: Flag of each element, [E], for each named group that has elements.
    """

    first: _Array
    members: dict[str, _Array]


def find_groups(
    blocks: list[ElementBlock], names: dict[tuple[int, int], str], max_bytes: int
) -> Groups:
    """Groups of the elements of all blocks, one block after the other.

    Raises:
        ValueError: If the flags would take more than ``max_bytes``.
    """
    sizes = [len(block.tags) for block in blocks]
    first = np.zeros(sum(sizes), np.int32)
    members: dict[str, _Array] = {}
    for block, start in zip(blocks, np.cumsum([0, *sizes]).tolist(), strict=False):
        rows, dim = slice(start, start + len(block.tags)), CELL_TYPES[block.kind].dim
        if block.groups.shape[1]:
            first[rows] = block.groups[:, 0]
        for tag in np.unique(block.groups).tolist():
            name = names.get((dim, tag))
            if name is None or not len(block.tags):
                continue
            if name not in members:
                if (len(members) + 1) * len(first) > max_bytes:
                    raise ValueError(f"its named groups take more than {max_bytes:,} bytes")
                members[name] = np.zeros(len(first), np.uint8)
            members[name][rows] |= (block.groups == tag).any(axis=1)
    return Groups(first, members)


def repeated_elements(blocks: list[ElementBlock]) -> _Array | None:
    """Row of the first copy of each element, [E]; None if no element is repeated.

    Versions 2.0 to 2.2 have one group per element: Gmsh writes an element of several groups once
    for each of them. Elements of one entity with the same nodes and different groups are copies.
    """
    sizes = np.cumsum([0, *(len(block.tags) for block in blocks)])
    first = np.arange(sizes[-1])
    for kind in {block.kind for block in blocks}:
        chosen = [i for i, block in enumerate(blocks) if block.kind == kind]
        rows = np.concatenate([np.arange(sizes[i], sizes[i + 1]) for i in chosen])
        nodes = np.concatenate([blocks[i].nodes for i in chosen])
        entity = np.concatenate([blocks[i].entity for i in chosen])
        group = np.concatenate([blocks[i].groups[:, 0] for i in chosen])
        if len(np.unique(group)) < 2:
            continue
        key = hash_integers(nodes).sum(axis=1) ^ hash_integers(entity)
        order = np.argsort(key, kind="stable")
        equal = np.diff(key[order]) == 0
        if not equal.any():
            continue
        found = np.sort(order[np.append(equal, False) | np.append(False, equal)])
        table = np.column_stack([np.sort(nodes[found], axis=1), entity[found]])
        _, copy = np.unique(table, axis=0, return_inverse=True)
        copy = copy.reshape(-1)
        different = np.unique(np.column_stack([copy, group[found]]), axis=0)[:, 0]
        # A mesh that has an element twice in one group is not changed.
        plain = np.bincount(different) == np.bincount(copy)
        first_copy = np.full(len(plain), len(first))
        np.minimum.at(first_copy, copy, rows[found])
        first[rows[found]] = np.where(plain[copy], first_copy[copy], rows[found])
    return None if (first == np.arange(len(first))).all() else first
