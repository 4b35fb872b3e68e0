"""The files of a case: a mesh, or the steps of a time series."""

import math
import os
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import NamedTuple

from flare_mesh.files import read_json_object
from flare_mesh.io.external_references import resolve_below
from flare_mesh.io.mesh_file_check import check_mesh_file
from flare_mesh.io.mesh_formats import MESH_FORMATS
from flare_mesh.io.time_steps import choose_step, mesh_times

COLLECTION_SUFFIXES = (".pvd", ".series")
"""Suffixes of ParaView's files that list one mesh file for each time."""

SERIES_SUFFIXES = (
    *COLLECTION_SUFFIXES,
    *(end for one in MESH_FORMATS if one.times for end in one.suffixes),
)
"""Suffixes of the files that can hold a whole time series."""


class MeshStep(NamedTuple):
    """A mesh in a file, or one time step of a file.

    Attributes:
        file: Path of the file; a string, since a folder may have very many.
        number: Index of the time step in the file, negative from the last; None if the file has a
            single mesh.
        time: Time in the unit of the file, or the number in the file's name.
    """

    file: str
    number: int | None = None
    time: float = 0.0


class CaseFiles(NamedTuple):
    """The files of a case: one mesh, or the steps of a time series.

    Attributes:
        name: Path below ``root`` without the suffix. Name patterns and tables refer to the case by
            it.
        root: The searched folder.
        steps: One step, or the steps of a time series in order of time.
        error: Why the files cannot be used, or None.
    """

    name: str
    root: Path
    steps: tuple[MeshStep, ...]
    error: str | None = None

    @property
    def file(self) -> Path:
        """The first file, which messages name."""
        return Path(self.steps[0].file)


def series_steps(file: Path, root: Path | None = None) -> tuple[MeshStep, ...]:
    """The time steps of a collection of ParaView or a mesh file; empty for a file of one mesh.

    Args:
        file: The file.
        root: Folder that must contain the files of a collection; by default the file's own.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If it is damaged, or names files outside ``root``.
    """
    if file.suffix.lower() not in COLLECTION_SUFFIXES:
        times = mesh_times(file) if file.suffix.lower() in SERIES_SUFFIXES else []
        return tuple(MeshStep(str(file), i, time) for i, time in enumerate(times))
    root = file.parent if root is None else root
    found = _listed_files(file)
    steps = []
    for time, name in sorted(found):
        below = os.path.relpath(file.parent / name, root)
        try:
            # The folder itself may be a link to another disk.
            resolve_below(file.parent, name, file)
        except ValueError:
            resolve_below(root, below, file)
        steps.append(MeshStep(str(root / below), None, time))
    return tuple(steps)


def one_step(file: Path, step: int | None, root: Path | None = None) -> MeshStep:
    """A mesh file, or the time step ``step`` of a collection or of a file with time steps.

    Raises:
        FileNotFoundError: If a collection does not exist.
        ValueError: If a collection is damaged, or has several steps and ``step`` is None.
    """
    suffix = file.suffix.lower()
    if suffix not in COLLECTION_SUFFIXES:
        # A file of a format without times has a single step, whose reading refuses others.
        single = suffix not in SERIES_SUFFIXES and step in (0, -1)
        return MeshStep(str(file), None if single else step)
    steps = series_steps(file, root)
    try:
        return steps[choose_step([one.time for one in steps], step)]
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from error
    except IndexError:
        raise ValueError(f"{file}: the collection has no files") from None


def case_name(root: Path, file: str) -> str:
    """The path of a file below ``root`` without its suffix, or both of ``.vtu.series``."""
    name, suffix = os.path.splitext(path_below(root, file))
    if suffix.lower() == ".series":
        name, _ = os.path.splitext(name)
    return name


def _listed_files(collection: Path) -> list[tuple[float, str]]:
    """Times and names of the files in a collection."""
    suffix = collection.suffix.lower()
    try:
        if suffix == ".pvd":
            check_mesh_file(collection)
            tree = ElementTree.parse(collection)
            entries = [
                (one.get("timestep", "0"), one.attrib["file"]) for one in tree.iter("DataSet")
            ]
        else:
            files = read_json_object(collection)["files"]
            entries = [(one["time"], str(one["name"])) for one in files]
        found = [(float(time), name) for time, name in entries]
        if not all(math.isfinite(time) for time, _ in found):
            raise ValueError("a time is not finite")
    except (ElementTree.ParseError, KeyError, TypeError, ValueError) as error:
        text = str(error)
        if text.startswith(str(collection)):
            raise ValueError(text) from error
        raise ValueError(f"{collection}: damaged {suffix} collection ({error!r})") from error
    if len({time for time, _ in found}) < len(found):
        raise ValueError(
            f"{collection}: has several files for one time; merge the parts of a time into one file"
        )
    return found


def path_below(root: Path, file: str) -> str:
    """The part of a path that follows ``root``, with slashes."""
    start = len(os.path.join(root, "")) if root.parts else 0
    return file[start:].replace(os.sep, "/")
