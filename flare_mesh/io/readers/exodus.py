"""Exodus II files."""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_mesh.io.arrays import MAX_BYTES
from flare_mesh.io.cell_blocks import blocks_to_arrays
from flare_mesh.io.mesh_file_warning import MeshFileWarning
from flare_mesh.io.netcdf_file import NetCDFFile
from flare_mesh.io.time_steps import choose_step
from flare_mesh.mesh.cells import CELL_NODES, check_node_numbers

# Cell types by the first letters of the names of elements.
_KINDS = {
    **dict.fromkeys(("SPH", "CIR", "POI", "NOD"), ("vertex",)),
    **dict.fromkeys(("BAR", "BEA", "TRU", "EDG", "ROD"), ("line", "line3")),
    **{"TRI": ("triangle", "triangle6"), "QUA": ("quad", "quad8", "quad9")},
    "SHE": ("triangle", "triangle6", "quad", "quad8", "quad9"),
    "TET": ("tetra", "tetra10"),
    "PYR": ("pyramid", "pyramid13", "pyramid14"),
    "WED": ("wedge", "wedge15", "wedge18"),
    "HEX": ("hexahedron", "hexahedron20", "hexahedron27"),
}
# Exodus numbers the middles of vertical edges before those of the top, and a hexahedron's centre
# before the middles of its faces, of which bottom and top come first.
_HEXAHEDRON = [*range(12), *range(16, 20), *range(12, 16)]
_WEDGE = [*range(9), *range(12, 15), *range(9, 12)]
_ORDERS = {
    "hexahedron20": _HEXAHEDRON,
    "hexahedron27": [*_HEXAHEDRON, 23, 24, 25, 26, 21, 22, 20],
    "wedge15": _WEDGE,
    "wedge18": [*_WEDGE, 15, 16, 17],
}
_BLOCK = "ObjectId"  # VTK's name


def exodus_times(path: Path) -> list[float]:
    """Time of each step; empty if the file has none.

    Raises:
        ValueError: If the file is damaged.
    """
    with NetCDFFile(path, MAX_BYTES) as file:
        return _times(file)


def read_exodus(path: Path, step: int | None, max_bytes: int) -> dict[str, NDArray[Any]]:
    """Read an Exodus II file: blocks, node sets and the variables of a time step.

    Coordinates are those of the undeformed mesh. Components x, y, z of a variable become one
    vector. The ids of element blocks become the cell field ``ObjectId``, the node sets 0/1 fields.
    Side sets and element sets are not read.

    Source: Sandia National Laboratories, EXODUS II: A Finite Element Data Model, SAND92-2137.

    Raises:
        ValueError: If the file is damaged, truncated or has elements that are not supported, or the
            step is not chosen or does not exist.
    """
    with NetCDFFile(path, max_bytes) as file:
        times = _times(file)
        number = choose_step(times, step)
        points = _points(file)
        cells, blocks = _cells(file, len(points))
        has_steps = bool(times)
        node_fields = dict(_node_fields(file, number, len(points))) if has_steps else {}
        cell_fields = dict(_cell_fields(file, number, blocks)) if has_steps else {}
        ids = _ids(file, "eb_prop1", max(blocks.keys(), default=0))
        cell_fields[_BLOCK] = [np.full(size, ids[block - 1]) for block, size in blocks.items()]
        case = _case_fields(file, number) if has_steps else {}
        sets = _node_sets(file, len(points))
    return blocks_to_arrays(points, cells, node_fields, cell_fields, case, sets)


def _times(file: NetCDFFile) -> list[float]:
    if "time_whole" not in file:
        return []
    times = file.read("time_whole")
    if times.ndim != 1 or times.dtype.kind != "f":
        raise ValueError(f"expected times in 'time_whole' (got the shape {times.shape})")
    return times.tolist()


def _points(file: NetCDFFile) -> NDArray[Any]:
    if "coord" in file:
        points = file.read("coord").T
    else:
        points = np.stack([file.read(n) for n in ("coordx", "coordy", "coordz") if n in file], 1)
    if points.ndim != 2 or not 1 <= points.shape[1] <= 3:
        raise ValueError(f"expected coordinates in 'coordx', ... (got the shape {points.shape})")
    return points


def _cells(
    file: NetCDFFile, num_points: int
) -> tuple[list[tuple[str, NDArray[Any]]], dict[int, int]]:
    """Cells of the blocks that are not empty, and number of cells by the block's number."""
    cells, blocks = [], {}
    count = file.shape("eb_status")[0] if "eb_status" in file else 0
    for block in range(1, count + 1):
        name = f"connect{block}"
        if f"facconn{block}" in file or f"ebepecnt{block}" in file:
            raise ValueError(
                f"block {block} has polygons or polyhedra, which are not supported; decompose them "
                f"into triangles or tetrahedra (ParaView: Tetrahedralize)"
            )
        if name not in file:
            continue
        nodes, element = file.read(name), file.attribute(name, "elem_type").upper()
        kinds = {CELL_NODES[kind]: kind for kind in _KINDS.get(element[:3], ())}
        kind = kinds.get(nodes.shape[1]) if nodes.ndim == 2 else None
        if kind is None:
            shape = f"{nodes.shape[1]} nodes" if nodes.ndim == 2 else f"the shape {nodes.shape}"
            raise ValueError(
                f"elements of type '{element}' with {shape} in block {block} are not supported; "
                f"expected points, bars, triangles, quads, tetrahedra, pyramids, wedges or "
                f"hexahedra of first or second order"
            )
        nodes = nodes.astype(np.int64) - 1
        check_node_numbers(name, nodes, num_points)
        order = _ORDERS.get(kind)
        cells.append((kind, nodes if order is None else nodes[:, order]))
        blocks[block] = len(nodes)
    return cells, blocks


def _node_fields(
    file: NetCDFFile, step: int, num_points: int
) -> Iterator[tuple[str, NDArray[Any]]]:
    names = file.texts("name_nod_var") if "name_nod_var" in file else []
    together = file.read("vals_nod_var", step) if "vals_nod_var" in file else None
    for name, numbers in _vectors(names):
        values = [
            file.read(f"vals_nod_var{i + 1}", step) if together is None else together[i]
            for i in numbers
        ]
        yield name, _columns(name, values, num_points)


def _cell_fields(
    file: NetCDFFile, step: int, blocks: dict[int, int]
) -> Iterator[tuple[str, list[NDArray[Any]]]]:
    """Element variables that all blocks have."""
    names = file.texts("name_elem_var") if "name_elem_var" in file else []
    for name, numbers in _vectors(names):
        stored = {b: [f"vals_elem_var{i + 1}eb{b}" for i in numbers] for b in blocks}
        without = [b for b, variables in stored.items() if not all(v in file for v in variables)]
        if len(without) == len(blocks):
            continue
        if without:
            ids = _ids(file, "eb_prop1", max(blocks))
            warnings.warn(
                f"the element variable '{name}' is not read: the element blocks "
                f"{[ids[b - 1] for b in without]} do not have it",
                MeshFileWarning,
                stacklevel=2,
            )
            continue
        yield (
            name,
            [
                _columns(name, [file.read(variable, step) for variable in stored[b]], size)
                for b, size in blocks.items()
            ],
        )


def _case_fields(file: NetCDFFile, step: int) -> dict[str, NDArray[Any]]:
    names = file.texts("name_glo_var") if "name_glo_var" in file else []
    if not names or "vals_glo_var" not in file:
        return {}
    values = file.read("vals_glo_var", step)
    if values.shape != (len(names),):
        raise ValueError(f"expected {len(names)} global variables (got {values.shape})")
    return {name: values[i : i + 1] for i, name in enumerate(names)}


def _node_sets(file: NetCDFFile, num_points: int) -> dict[str, NDArray[Any]]:
    count = file.shape("ns_status")[0] if "ns_status" in file else 0
    names = file.texts("ns_names") if "ns_names" in file else [""] * count
    ids = _ids(file, "ns_prop1", count)
    sets = {}
    for i in range(count):
        if f"node_ns{i + 1}" in file:
            nodes = file.read(f"node_ns{i + 1}").astype(np.int64) - 1
            name = (names[i] if i < len(names) else "") or f"node_set_{ids[i]}"
            check_node_numbers(name, nodes, num_points)
            sets[name] = nodes
    return sets


def _ids(file: NetCDFFile, name: str, count: int) -> list[int]:
    ids = file.read(name) if name in file else np.arange(1, count + 1)
    if ids.ndim != 1 or len(ids) < count or ids.dtype.kind not in "iu":
        raise ValueError(f"expected {count} integers in '{name}' (got {ids.dtype} {ids.shape})")
    return ids.tolist()


def _columns(name: str, values: list[NDArray[Any]], rows: int) -> NDArray[Any]:
    for column in values:
        if column.shape != (rows,):
            raise ValueError(f"expected {rows:,} values of '{name}' (got {column.shape})")
    return values[0] if len(values) == 1 else np.stack(values, axis=1)


def _vectors(names: list[str]) -> list[tuple[str, list[int]]]:
    """Fields and the numbers of their variables; the last letters x, y, z make a vector."""
    fields, at = [], 0
    while at < len(names):
        size = next((n for n in (3, 2) if _is_vector(names[at : at + n], n)), 1)
        name = names[at] if size == 1 else names[at][:-1]
        fields.append((name, list(range(at, at + size))))
        at += size
    return fields


def _is_vector(names: list[str], size: int) -> bool:
    stem = names[0][:-1]
    suffixes = "".join(name[-1:] for name in names)
    same = len(names) == size and bool(stem) and all(name[:-1] == stem for name in names)
    return same and suffixes in ("xyz"[:size], "XYZ"[:size])
