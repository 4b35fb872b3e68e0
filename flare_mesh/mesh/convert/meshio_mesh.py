"""Conversion from and to meshio."""

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from torch_geometric.data import Data

from flare_mesh.mesh.cell_storage import CELL_NAMES, VTK_CODES, cell_starts
from flare_mesh.mesh.cells import CELL_NODES
from flare_mesh.mesh.convert.assemble import T, assemble, field_to_array, points_3d

if TYPE_CHECKING:
    import meshio


def from_meshio(cls: type[T], mesh: "meshio.Mesh", **options: Any) -> T:
    """Points, cells, point data and cell data of a meshio mesh.

    Point sets and cell sets become fields of zeros and ones under their names. Options and errors
    are the same as for :func:`~flare_mesh.mesh.convert.assemble.assemble`.

    Raises:
        ValueError: If a cell type is not supported.
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
        **options,
    )


def to_meshio(data: Data) -> "meshio.Mesh":
    """Points, cells in their order, node fields as point data and cell fields as cell data.

    Raises:
        ValueError: If meshio does not have one of the cell types.
    """
    import meshio

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
    on_nodes: Any = {name: field_to_array(values) for name, values in data.node_fields.items()}
    on_cells = {name: field_to_array(values) for name, values in data.cell_fields.items()}
    cell_data: Any = {name: np.split(values, bounds[1:-1]) for name, values in on_cells.items()}
    return meshio.Mesh(points_3d(data), blocks, point_data=on_nodes, cell_data=cell_data)
