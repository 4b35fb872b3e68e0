"""A mesh as meshio writes it to Gmsh's format."""

import re
from copy import copy
from typing import Any

import meshio
import numpy as np

from flare_mesh.io.mesh_formats import GMSH_TAG
from flare_mesh.io.readers.gmsh_elements import gmsh_node_order
from flare_mesh.mesh.cells import CELL_TYPES

_BY_US = ("wedge18", "pyramid14")  # whose nodes meshio does not reorder
_NAME = re.compile(r'[^"\x00-\x1f]{1,127}')


def gmsh_mesh(mesh: meshio.Mesh) -> meshio.Mesh:
    """The mesh with named groups, and with nodes in the order that meshio's writer expects.

    A cell field of zeros and ones whose cells are those of one tag of ``gmsh:physical`` and one
    dimension becomes the name of that group.
    """
    mesh = copy(mesh)
    mesh.cells = [
        meshio.CellBlock(block.type, _gmsh_nodes(block)) if block.type in _BY_US else block
        for block in mesh.cells
    ]
    tags = mesh.cell_data.get(GMSH_TAG)
    if not tags or any(np.ndim(part) != 1 for part in tags):
        return mesh
    cell_data: dict[str, list[Any]] = dict(mesh.cell_data)
    # Dimension and tag of each cell in one number.
    dims = [CELL_TYPES[block.type].dim for block in mesh.cells]
    keys = np.concatenate(
        [4 * np.asarray(t, np.int64) + d for t, d in zip(tags, dims, strict=True)]
    )
    names = {}
    for name, parts in list(cell_data.items()):
        if name == GMSH_TAG or not _NAME.fullmatch(name):
            continue
        flags = np.concatenate([np.asarray(part) for part in parts])
        if flags.dtype != np.uint8 or flags.ndim > 1 or flags.max(initial=0) != 1:
            continue
        found = np.unique(keys[flags == 1])
        key = int(found[0])
        if len(found) == 1 and key > 3 and key not in names and ((keys == key) == flags).all():
            names[key] = name
            del cell_data[name]
    out: Any = mesh
    out.cell_data = cell_data
    out.field_data = {name: np.array([key // 4, key % 4]) for key, name in names.items()}
    return mesh


def _gmsh_nodes(block: meshio.CellBlock) -> Any:
    order = gmsh_node_order(block.type)
    assert order is not None
    return np.asarray(block.data)[:, np.argsort(order)]
