"""Points, cells and fields of a VTK mesh as NumPy arrays."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

_DUPLICATE_CELL = 1


def vtk_arrays(mesh: Any) -> dict[str, NDArray[Any]]:
    """The arrays of a PyVista mesh, without ghost cells.

    Keys are ``points`` [N, 3], ``index`` (the nodes of all cells), ``offset`` [E + 1], ``types``
    [E], and ``node:``, ``cell:`` or ``case:`` followed by the name of a field.
    """
    from vtkmodules.util.numpy_support import vtk_to_numpy

    grid = mesh.cast_to_unstructured_grid()
    cells = grid.GetCells()
    arrays = {
        "points": np.asarray(grid.points),
        "index": vtk_to_numpy(cells.GetConnectivityArray()),
        "offset": vtk_to_numpy(cells.GetOffsetsArray()),
        "types": np.asarray(grid.celltypes),
    }
    places = {"node:": grid.point_data, "cell:": grid.cell_data, "case:": mesh.field_data}
    for prefix, data in places.items():
        for name in data.keys():  # noqa: SIM118
            values = np.asarray(data[name])
            case = prefix == "case:"
            if values.dtype.kind in "biuf" and (values.size or not case):
                arrays[prefix + name] = values.reshape(1, -1) if case else values
    return drop_ghost_cells(arrays)


def drop_ghost_cells(arrays: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """The arrays of :func:`vtk_arrays` without the cells that partitions duplicate.

    Removes cells with VTK's flag ``DUPLICATECELL`` in ``vtkGhostType``, and nodes that only these
    cells have, with their fields; ``vtkGhostType`` is not a field.

    Raises:
        ValueError: If the flags or the node numbers do not fit the cells.
    """
    arrays = dict(arrays)
    arrays.pop("node:vtkGhostType", None)
    flags = arrays.pop("cell:vtkGhostType", None)
    if flags is None:
        return arrays
    points, index, offset = (arrays[name] for name in ("points", "index", "offset"))
    if flags.shape != arrays["types"].shape or len(offset) != len(flags) + 1:
        raise ValueError(f"expected {len(offset) - 1} values of vtkGhostType (got {flags.size})")
    cells = (flags.astype(np.int64) & _DUPLICATE_CELL) == 0
    if cells.all():
        return arrays
    sizes = np.diff(offset)
    if len(index) and not 0 <= index.min() <= index.max() < len(points):
        raise ValueError(f"expected node numbers from 0 to {len(points) - 1} in its cells")
    index = index[np.repeat(cells, sizes)]
    nodes = np.ones(len(points), dtype=bool)
    nodes[arrays["index"]] = False
    nodes[index] = True
    for name, values in arrays.items():
        if name.startswith("cell:") or name == "types":
            arrays[name] = values[cells]
        elif name.startswith("node:") or name == "points":
            arrays[name] = values[nodes]
    arrays["index"] = (np.cumsum(nodes) - 1)[index]
    arrays["offset"] = np.concatenate([[0], np.cumsum(sizes[cells])])
    return arrays
