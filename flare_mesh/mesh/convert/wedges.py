"""The two node orders of wedges in VTK's versions; each is the reflection of the other."""

from functools import cache
from typing import Any

from flare_mesh.mesh.cell_storage import VTK_CODES, reflect_cells
from flare_mesh.mesh.convert.assemble import T
from flare_mesh.mesh.geometry import cell_measures

_WEDGES = tuple(code for kind, code in VTK_CODES.items() if kind.startswith("wedge"))


@cache
def vtk_has_other_order() -> bool:
    """Whether in the installed VTK the normal of a wedge's nodes 0, 1, 2 points outward.

    It does before VTK 9.7; in meshio, Gmsh and this library it points inward.
    """
    from vtkmodules.vtkCommonDataModel import vtkWedge

    coordinates: Any = vtkWedge().GetParametricCoords()
    return coordinates[3] == 0.0


def orient_wedges(data: T) -> T:
    """Reorder the wedges of a file if they are in the other order, which files do not state.

    They are if the volumes of all wedges of one type add up to less than zero.
    """
    # Without wedges, the tables of cells, which take long to make, are not needed.
    if not any(bool((data["cell_type"] == code).any()) for code in _WEDGES):
        return data
    for kind, nodes in data.cells.items():
        if kind.startswith("wedge") and cell_measures(data["pos"], {kind: nodes})[kind].sum() < 0:
            data.cell_index = reflect_cells(data.cell_index, data.cell_type, [kind])
    return data
