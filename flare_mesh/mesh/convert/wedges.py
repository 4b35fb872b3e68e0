"""The two orders in which VTK has numbered the nodes of wedges."""

from functools import cache
from typing import Any

import torch
from torch import Tensor

from flare_mesh.mesh.cell_storage import VTK_CODES, cell_starts
from flare_mesh.mesh.cells import CELL_NODES
from flare_mesh.mesh.geometry import cell_measures
from flare_mesh.mesh.mesh_data import MeshData

# Each is its own inverse.
_OTHER_ORDER = {
    "wedge": [0, 2, 1, 3, 5, 4],
    "wedge15": [0, 2, 1, 3, 5, 4, 8, 7, 6, 11, 10, 9, 12, 14, 13],
    "wedge18": [0, 2, 1, 3, 5, 4, 8, 7, 6, 11, 10, 9, 12, 14, 13, 17, 16, 15],
}


@cache
def vtk_has_other_order() -> bool:
    """Whether the installed VTK has the normal of the nodes 0, 1, 2 of a wedge point outward.

    It did so before 9.7; meshio, Gmsh and this library have it point inward.
    """
    from vtkmodules.vtkCommonDataModel import vtkWedge

    coordinates: Any = vtkWedge().GetParametricCoords()
    return coordinates[3] == 0.0


def swap_wedges(cell_index: Tensor, cell_type: Tensor, kind: str = "wedge") -> Tensor:
    """``cell_index`` with the wedges of one kind in the other order."""
    first = cell_starts(cell_type)[:-1][cell_type == VTK_CODES[kind]][:, None]
    columns = torch.arange(CELL_NODES[kind])
    out = cell_index.clone()
    out[first + columns] = cell_index[first + torch.tensor(_OTHER_ORDER[kind])]
    return out


def orient_wedges(data: MeshData) -> MeshData:
    """Wedges of a file as they are meant: files do not tell in which of the two orders they are.

    If the wedges of a kind have a negative volume together, they are in the other order.
    """
    for kind, nodes in data.cells.items():
        if kind in _OTHER_ORDER and float(cell_measures(data.pos, {kind: nodes})[kind].sum()) < 0:
            data.cell_index = swap_wedges(data.cell_index, data.cell_type, kind)
    return data
