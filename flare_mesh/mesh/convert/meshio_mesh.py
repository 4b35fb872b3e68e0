"""Conversion from and to meshio."""

from collections.abc import Collection
from itertools import pairwise
from typing import Any

import meshio
import numpy as np
import torch
from torch_geometric.data import Data

from flare_mesh.mesh.cell_storage import CELL_NAMES, VTK_CODES, cell_starts
from flare_mesh.mesh.cells import CELL_NODES
from flare_mesh.mesh.convert.assemble import T, assemble, field_to_array, points_3d


def from_meshio(
    cls: type[T],
    mesh: meshio.Mesh,
    *,
    fields: Collection[str] | None = None,
    optional: Collection[str] = (),
    dtype: torch.dtype | None = torch.float32,
    edges: bool = True,
) -> T:
    """Points, cells, point data and cell data of a meshio mesh.

    Point sets and cell sets become fields of zeros and ones under their names.

    Args:
        cls: Class of the mesh to make.
        mesh: The mesh.
        fields: Names of the fields to convert; None for all.
        optional: Names of further fields, which may be missing.
        dtype: Type of coordinates and real fields; None for that of the mesh.
        edges: Whether to add ``edge_index`` from the cells.

    Raises:
        ValueError: If a coordinate is not finite, a cell type is not supported, a cell has a node
            that does not exist, or a field is missing or has a name that PyG uses.
    """
    unknown = sorted({block.type for block in mesh.cells} - set(VTK_CODES))
    if unknown:
        raise ValueError(
            f"cells of type {unknown} are not supported; expected some of {', '.join(VTK_CODES)}"
        )
    blocks = [np.asarray(block.data, dtype=np.int64) for block in mesh.cells]
    counts = list(map(len, blocks))
    empty = np.empty(0, dtype=np.int64)
    node_fields = {name: np.asarray(values) for name, values in mesh.point_data.items()}
    for name, nodes in mesh.point_sets.items():
        member = np.zeros(len(mesh.points), dtype=np.uint8)
        member[np.asarray(nodes, dtype=np.int64)] = 1
        node_fields.setdefault(name, member)
    cell_fields = {
        name: np.concatenate([np.asarray(part) for part in parts])
        for name, parts in mesh.cell_data.items()
    }
    for name, parts in mesh.cell_sets.items():
        members = [np.zeros(count, dtype=np.uint8) for count in counts]
        for member, chosen in zip(members, parts, strict=True):
            if chosen is not None:
                member[np.asarray(chosen, dtype=np.int64)] = 1
        cell_fields.setdefault(name, np.concatenate(members))
    return assemble(
        cls,
        mesh.points,
        np.concatenate([empty, *(block.ravel() for block in blocks)]),
        np.repeat([VTK_CODES[block.type] for block in mesh.cells], counts).astype(np.uint8),
        node_fields,
        cell_fields,
        {},
        fields=fields,
        optional=optional,
        dtype=dtype,
        edges=edges,
    )


def to_meshio(data: Data) -> meshio.Mesh:
    """Points, cells in their order, node fields as point data and cell fields as cell data.

    Raises:
        ValueError: If meshio does not have one of the cell types.
    """
    unknown = sorted(data.cells.keys() - meshio._mesh.topological_dimension.keys())
    if unknown:
        raise ValueError(f"meshio has no cells of type {unknown}; use to_pyvista()")
    types = data.cell_type.numpy(force=True)
    cut = np.flatnonzero(np.diff(types)) + 1
    bounds = [0, *cut.tolist(), len(types)] if len(types) else []
    starts = cell_starts(data.cell_type).numpy(force=True)
    index = data.cell_index.numpy(force=True)
    blocks = []
    for first, last in pairwise(bounds):
        kind = CELL_NAMES[int(types[first])]
        nodes = index[starts[first] : starts[last]].reshape(-1, CELL_NODES[kind])
        blocks.append((kind, nodes))
    cell_data: dict[str, Any] = {
        name: np.split(field_to_array(values), bounds[1:-1])
        for name, values in data.cell_fields.items()
    }
    return meshio.Mesh(
        points_3d(data),
        blocks,
        point_data={name: field_to_array(values) for name, values in data.node_fields.items()},
        cell_data=cell_data,
    )
