"""Formats that VTK reads, in the reader process."""

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from flare_mesh.io.reader_process import read_in_child
from flare_mesh.io.vtk_xml import UnsupportedVTKError, VTKXMLFile

# Limits of the reader process: a small file that is damaged must cost no more.
_SECONDS = 20.0
_BYTES_PER_SECOND = 2**20
_MEMORY = 2**31
_MEMORY_RATIO = 64  # of compressed files


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
    size = path.stat().st_size
    return read_in_child(
        "vtk",
        path,
        seconds=_SECONDS + size / _BYTES_PER_SECOND,
        max_memory=_MEMORY + _MEMORY_RATIO * size,
    )
