"""Ghost cells, which the parts of a partitioned mesh repeat of each other."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

_DUPLICATE = 1


def without_ghosts(arrays: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """The arrays of :func:`~flare_mesh.mesh.vtk_arrays.vtk_arrays` without duplicate cells.

    Cells with VTK's flag ``DUPLICATECELL`` in ``vtkGhostType``, and the nodes that only these
    have, go with their fields; ``vtkGhostType`` is not a field.

    Raises:
        ValueError: If flags or nodes do not fit the cells.
    """
    arrays = dict(arrays)
    arrays.pop("node:vtkGhostType", None)
    flags = arrays.pop("cell:vtkGhostType", None)
    if flags is None:
        return arrays
    points, index, offset = (arrays[name] for name in ("points", "index", "offset"))
    if flags.shape != arrays["types"].shape or len(offset) != len(flags) + 1:
        raise ValueError(f"expected {len(offset) - 1} values of vtkGhostType (got {flags.size})")
    cells = (flags.astype(np.int64) & _DUPLICATE) == 0
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
