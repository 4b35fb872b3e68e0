"""Points, cells and fields of a VTK mesh as NumPy arrays."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_mesh.mesh.vtk_ghosts import without_ghosts


def vtk_arrays(mesh: Any) -> dict[str, NDArray[Any]]:
    """The arrays of a PyVista mesh without ghost cells."""
    from vtkmodules.util.numpy_support import vtk_to_numpy

    grid = mesh.cast_to_unstructured_grid()
    cells = grid.GetCells()
    arrays = {
        "points": np.asarray(grid.points),
        "index": vtk_to_numpy(cells.GetConnectivityArray()),
        "offset": vtk_to_numpy(cells.GetOffsetsArray()),
        "types": np.asarray(grid.celltypes),
    }
    for prefix, data in (("node:", grid.point_data), ("cell:", grid.cell_data)):
        for name in data.keys():  # noqa: SIM118
            values = np.asarray(data[name])
            if values.dtype.kind in "biuf":
                arrays[prefix + name] = values
    for name in mesh.field_data.keys():  # noqa: SIM118
        values = np.asarray(mesh.field_data[name])
        if values.dtype.kind in "biuf" and values.size:
            arrays["case:" + name] = values.reshape(1, -1)
    return without_ghosts(arrays)
