"""XDMF files."""

import mmap
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import meshio

from flare_mesh.io.readers.by_meshio import read_meshio
from flare_mesh.io.time_steps import choose_step

_TEMPORAL = re.compile(rb"""CollectionType\s*=\s*["']temporal""", re.IGNORECASE)


def is_xdmf_series(file: Path) -> bool:
    """Whether an XDMF file, which may be large, has a collection of time steps."""
    try:
        with file.open("rb") as raw, mmap.mmap(raw.fileno(), 0, access=mmap.ACCESS_READ) as text:
            return _TEMPORAL.search(text) is not None
    except (OSError, ValueError):  # empty or not readable, which read_mesh reports
        return False


def xdmf_times(file: Path) -> list[float]:
    """Time of each step, or its number if it has no time; empty for a file of a single mesh.

    Raises:
        ValueError: If the file is damaged.
    """
    if not is_xdmf_series(file):
        return []
    times = [step.find("Time") for step in _open(file).collection]
    try:
        return [float(i if time is None else time.get("Value", i)) for i, time in enumerate(times)]
    except ValueError as error:
        raise ValueError(f"{file}: expected numbers as times ({error}); repair it") from error


def read_xdmf(path: Path, step: int | None, max_bytes: int) -> meshio.Mesh:
    """Read an XDMF file of a single mesh, or a time step of a series.

    Raises:
        ValueError: If the file is damaged, or the step is not chosen or does not exist.
    """
    times = xdmf_times(path)
    number = choose_step(times, step)
    if not times:
        return read_meshio(path)
    reader = _open(path)
    try:
        points: Any
        cell_data: Any
        points, cells = reader.read_points_cells()
        _, point_data, cell_data = reader.read_data(number)
        return meshio.Mesh(points, cells, point_data=point_data, cell_data=cell_data)
    except (Exception, SystemExit) as error:
        raise ValueError(f"step {number}: {error}") from error
    finally:
        reader.__exit__()  # closes the HDF5 files, which another process may write to
        reader.hdf5_files.clear()


def _open(file: Path) -> meshio.xdmf.TimeSeriesReader:
    stat = file.stat()
    return _parse(file, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=1)
def _parse(file: Path, *state: int) -> meshio.xdmf.TimeSeriesReader:
    """The parsed file; cached until its ``state`` changes, since a series is read step by step."""
    try:
        return meshio.xdmf.TimeSeriesReader(file)
    except (Exception, SystemExit) as error:
        raise ValueError(f"{file}: damaged XDMF time series ({error!r})") from error
