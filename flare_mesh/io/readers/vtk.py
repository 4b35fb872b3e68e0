"""Formats that VTK reads, in the reader process."""

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from flare_mesh.io.reader_process import read_in_child
from flare_mesh.io.readers.vtk_collection import warn_of_lost_fields
from flare_mesh.io.vtk_xml import UnsupportedVTKError, VTKXMLFile
from flare_mesh.io.vtk_xml_tags import TAIL_BYTES, check_vtk_xml_tail
from flare_mesh.mesh.join_meshes import LOST

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


def read_vtk(
    path: Path, step: int | None, max_bytes: int, *, time: float | None = None
) -> dict[str, NDArray[Any]]:
    """Read a file by VTK in the reader process, at a time if it has several.

    Raises:
        ValueError: If the file is damaged.
    """
    size = path.stat().st_size
    arrays = read_in_child(
        "vtk",
        path,
        seconds=_SECONDS + size / _BYTES_PER_SECOND,
        max_memory=_MEMORY + _MEMORY_RATIO * size,
        time=time,
    )
    warn_of_lost_fields(path, [key[len(LOST) :] for key in arrays if key.startswith(LOST)])
    return {key: values for key, values in arrays.items() if not key.startswith(LOST)}


def check_vtk_xml_end(path: Path, max_bytes: int) -> None:
    """Refuse a VTK XML file that does not end with its last tag, since VTK may read it in part.

    Raises:
        ValueError: If it does not.
    """
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - TAIL_BYTES))
        tail = file.read()
    try:
        check_vtk_xml_tail(tail)
    except ValueError as error:
        raise ValueError(f"{path}: not a whole VTK XML file ({error})") from error
