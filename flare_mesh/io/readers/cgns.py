"""CGNS files."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from flare_mesh.io.arrays import HDF5_ERRORS
from flare_mesh.io.readers.vtk import read_vtk
from flare_mesh.io.time_steps import choose_step

_DATA = " data"  # the name that CGNS gives the values of a node
_POLYHEDRA = {22: "polygons (NGON_n)", 23: "polyhedra (NFACE_n)"}


def cgns_times(path: Path) -> list[float]:
    """Time of each step, or its iteration number; empty if the file has no steps.

    Raises:
        ValueError: If the file is damaged, is no HDF5 file, or its bases have different times.
    """
    try:
        if not h5py.is_hdf5(path):
            raise ValueError("it is no HDF5 file; convert it by adf2hdf")
        with h5py.File(path, "r") as file:
            found = [times for base in _children(file, "CGNSBase_t") for times in _times(base)]
    except ValueError:
        raise
    except HDF5_ERRORS as error:
        raise ValueError(f"not a whole CGNS file ({error})") from error
    if any(times != found[0] for times in found):
        raise ValueError("its bases have different times, which are not read together")
    return found[0] if found else []


def read_cgns(path: Path, step: int | None, max_bytes: int) -> dict[str, NDArray[Any]]:
    """Read a CGNS file by VTK: its zones become one mesh.

    Source: "CGNS Standard Interface Data Structures", section 11, time-dependent flow.

    Raises:
        ValueError: If the file is damaged or has elements that are not supported, several solutions
            without times, or the step is not chosen or does not exist.
    """
    times = cgns_times(path)
    number = choose_step(times, step)
    try:
        with h5py.File(path, "r") as file:
            for base in _children(file, "CGNSBase_t"):
                for zone in _children(base, "Zone_t"):
                    _check_zone(zone)
    except ValueError:
        raise
    except HDF5_ERRORS as error:
        raise ValueError(f"not a whole CGNS file ({error})") from error
    return read_vtk(path, None, max_bytes, time=times[number] if len(times) > 1 else None)


def _check_zone(zone: h5py.Group) -> None:
    """Refuse elements that are not supported, and solutions of which VTK takes one."""
    name = str(zone.name)
    for elements in _children(zone, "Elements_t"):
        kinds = _values(elements)
        if len(kinds) and int(kinds[0]) in _POLYHEDRA:
            raise ValueError(
                f"{_POLYHEDRA[int(kinds[0])]} of '{name}' are not supported; decompose them into "
                f"tetrahedra (ParaView: Tetrahedralize)"
            )
    if any(True for _ in _children(zone, "ZoneIterativeData_t")):
        return
    seen: set[tuple[str, str]] = set()
    for solution in _children(zone, "FlowSolution_t"):
        places = [
            _values(one).tobytes().decode(errors="replace")
            for one in _children(solution, "GridLocation_t")
        ]
        for array in _children(solution, "DataArray_t"):
            key = "".join(places) or "Vertex", str(array.name).rpartition("/")[2]
            if key in seen:
                raise ValueError(
                    f"'{name}' has several solutions of '{key[1]}' without ZoneIterativeData, "
                    f"which states the time of each"
                )
            seen.add(key)


def _times(base: h5py.Group) -> Iterator[list[float]]:
    for data in _children(base, "BaseIterativeData_t"):
        for name in ("TimeValues", "IterationValues"):
            if name in data:
                times = np.asarray(_values(data[name]), float).ravel().tolist()
                if len(set(times)) < len(times):
                    raise ValueError(f"several steps have the same time in '{base.name}'")
                yield times
                break


def _children(group: h5py.Group, label: str) -> Iterator[h5py.Group]:
    """Nodes below a node that have a label, without links."""
    for name in group:
        if isinstance(group.get(name, getlink=True), h5py.HardLink):
            child = group[name]
            if isinstance(child, h5py.Group) and _label(child) == label:
                yield child


def _label(group: h5py.Group) -> str:
    label = group.attrs.get("label", b"")
    return label.decode(errors="replace") if isinstance(label, bytes) else str(label)


def _values(group: Any) -> NDArray[Any]:
    return np.asarray(group[_DATA][()]) if _DATA in group else np.empty(0)
