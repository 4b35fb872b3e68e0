"""VTK's readers of mesh files, for the reader process."""

from pathlib import Path
from typing import Any

import numpy as np
import pyvista
from numpy.typing import NDArray

from flare_mesh.mesh.join_meshes import LOST, join_meshes
from flare_mesh.mesh.vtk_arrays import vtk_arrays


def read_vtk_arrays(path: Path, time: float | None = None) -> dict[str, NDArray[Any]]:
    """The :func:`~flare_mesh.mesh.vtk_arrays.vtk_arrays` of a file; its blocks become one mesh.

    Args:
        path: The file.
        time: Time of the step to read.

    Returns:
        The arrays, and an empty one of the name ``LOST + name`` for each field that is left out.

    Raises:
        ValueError: If the file has no points.
        RuntimeError: If VTK reports an error.
    """
    reader: Any = pyvista.get_reader(str(path))
    # VTK reports damage on its own channel and continues with what it has.
    with pyvista.VtkErrorCatcher(raise_errors=True, send_to_logging=False):
        if time is not None:
            reader.reader.UpdateTimeStep(time)
        mesh = reader.read()
    blocks = mesh.recursive_iterator() if isinstance(mesh, pyvista.MultiBlock) else [mesh]
    found = [vtk_arrays(block) for block in blocks if block is not None and block.n_points]
    arrays, lost = join_meshes(found)
    return arrays | {LOST + name: np.empty(0) for name in lost}
