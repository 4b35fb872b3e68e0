"""Formats that VTK reads, in the reader process."""

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from flare_mesh.io.reader_process import read_in_child
from flare_mesh.io.vtk_xml import UnsupportedVTKError, VTKXMLFile


def read_vtk_xml(path: Path, step: int | None, max_bytes: int) -> dict[str, NDArray[Any]]:
    """Read a VTK XML file of one mesh; by VTK if the own reader does not support its kind.

    Raises:
        ValueError: If the file is damaged.
    """
    try:
        return VTKXMLFile(path, max_bytes=max_bytes).mesh_arrays()
    except UnsupportedVTKError:
        return read_vtk(path, step, max_bytes)


def read_vtk(path: Path, step: int | None, max_bytes: int) -> dict[str, NDArray[Any]]:
    """Read a file by VTK in the reader process.

    Raises:
        ValueError: If the file is damaged.
    """
    return read_in_child("vtk", path)
