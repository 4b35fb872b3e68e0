"""VTK's readers of mesh files, for the reader process."""

from pathlib import Path
from typing import Any

import pyvista
from numpy.typing import NDArray

from flare_mesh.mesh.vtk_arrays import vtk_arrays


def read_vtk_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The :func:`~flare_mesh.mesh.vtk_arrays.vtk_arrays` of a file; its blocks become one grid.

    Raises:
        ValueError: If the file has no points.
        RuntimeError: If VTK reports an error.
    """
    mesh = _read(path)
    if isinstance(mesh, pyvista.MultiBlock):
        mesh = mesh.combine()
    if mesh is None or not mesh.n_points:
        raise ValueError("it has no points")
    return vtk_arrays(mesh)


def _read(path: Path, *, little_endian: bool = False) -> Any:
    reader: Any = pyvista.get_reader(str(path))
    if little_endian:
        reader.reader.SetByteOrderToLittleEndian()
    try:
        # VTK reports damage on its own channel and continues with what it has.
        with pyvista.VtkErrorCatcher(raise_errors=True, send_to_logging=False):
            return reader.read()
    except RuntimeError:
        # EnSight's binary files do not state their byte order; VTK tries big-endian first.
        if little_endian or not hasattr(reader.reader, "SetByteOrderToLittleEndian"):
            raise
    return _read(path, little_endian=True)
