"""Which files of a folder make which cases."""

import os
import re
import xml.etree.ElementTree as ElementTree
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from flare_mesh.data.mesh_formats import (
    READABLE_SUFFIXES,
    check_mesh_file,
    inside,
    referenced_files,
)

_NUMBERED = re.compile(r"^(.*?)[._-]*(\d+)$")
# Files that are made of others, which are no cases of their own.
_CONTAINERS = (".pvtu", ".vtm")
_XDMF = (".xdmf", ".xmf")


@dataclass(frozen=True)
class MeshStep:
    """A mesh in a file.

    Attributes:
        file: The file.
        index: Which of the time steps in the file; None if the file is one mesh.
        time: Its time, in the file's unit, or its number.
    """

    file: Path
    index: int | None = None
    time: float = 0.0


@dataclass(frozen=True)
class MeshCase:
    """A mesh, or the steps of a trajectory.

    Attributes:
        name: Path of its file below the folder, without the suffix.
        steps: One step, or those of the trajectory in order of time.
    """

    name: str
    steps: tuple[MeshStep, ...]


def find_cases(root: Path, *, series: bool, leave_out: Iterable[Path] = ()) -> list[MeshCase]:
    """The cases below ``root``, sorted by name.

    Args:
        root: Folder, searched with its sub-folders; names that begin with a dot are left out.
        series: Whether a case is a trajectory: a ``.pvd`` collection, an XDMF file with several
            times, or files of one folder whose names differ in a final number. Otherwise each
            mesh file is a case of its own, and collections are left out.
        leave_out: Folders that are not searched.

    Raises:
        FileNotFoundError: If ``root`` is no folder, or there is nothing in it.
        ValueError: If a collection is damaged or names files outside of ``root``.
    """
    if not root.is_dir():
        raise FileNotFoundError(f"{root}: no such folder; give a folder of mesh files")
    files, collections = _mesh_files(root, set(leave_out))
    parts: set[Path] = set()
    for file in files:
        if file.suffix.lower() in _CONTAINERS:
            check_mesh_file(file)
            parts |= {inside(file.parent, name, file) for name in referenced_files(file)}
    if parts:
        files = [file for file in files if file.resolve() not in parts]
    cases = _trajectories(root, files, collections) if series else _single(root, files)
    if not cases:
        wanted = "time series (.pvd, XDMF, or numbered files)" if series else "mesh files"
        raise FileNotFoundError(
            f"{root}: no {wanted} in it; expected names that end in {', '.join(READABLE_SUFFIXES)}"
        )
    return sorted(cases, key=lambda case: case.name)


def _mesh_files(root: Path, leave_out: set[Path]) -> tuple[list[Path], list[Path]]:
    """Mesh files, and collections of them."""
    files, collections = [], []
    for folder, folders, names in os.walk(root):
        here = Path(folder)
        folders[:] = [
            name for name in folders if not name.startswith(".") and here / name not in leave_out
        ]
        for name in names:
            suffix = os.path.splitext(name)[1].lower()
            if name.startswith("."):
                continue
            if suffix in READABLE_SUFFIXES:
                files.append(here / name)
            elif suffix == ".pvd":
                collections.append(here / name)
    return files, collections


def _name(root: Path, file: Path) -> str:
    return file.relative_to(root).with_suffix("").as_posix()


def _single(root: Path, files: list[Path]) -> list[MeshCase]:
    cases: dict[str, Path] = {}
    for file in files:
        name = _name(root, file)
        if name in cases:
            raise ValueError(f"{file}: has the same name as {cases[name]}; rename one of them")
        cases[name] = file
    return [MeshCase(name, (MeshStep(file),)) for name, file in cases.items()]


def _trajectories(root: Path, files: list[Path], collections: list[Path]) -> list[MeshCase]:
    cases = [MeshCase(_name(root, file), _collected(root, file)) for file in collections]
    used = {step.file.resolve() for case in cases for step in case.steps}
    numbered: dict[tuple[Path, str, str], list[tuple[int, Path]]] = defaultdict(list)
    for file in files:
        if file.resolve() in used:
            continue
        if file.suffix.lower() in _XDMF:
            times = _xdmf_times(file)
            steps = tuple(MeshStep(file, i, time) for i, time in enumerate(times))
            cases.append(MeshCase(_name(root, file), steps))
        elif match := _NUMBERED.match(file.stem):
            numbered[file.parent, match[1], file.suffix].append((int(match[2]), file))
    for (folder, stem, _), members in numbered.items():
        steps = tuple(MeshStep(file, None, float(number)) for number, file in sorted(members))
        name = (folder / stem if stem else folder).relative_to(root).as_posix()
        cases.append(MeshCase(name, steps))
    return [case for case in cases if len(case.steps) > 1]


def _collected(root: Path, file: Path) -> tuple[MeshStep, ...]:
    """The steps of a ``.pvd`` collection."""
    check_mesh_file(file)
    try:
        found = [
            (float(entry.get("timestep", "0")), entry.attrib["file"])
            for entry in ElementTree.parse(file).iter("DataSet")
        ]
    except (ElementTree.ParseError, KeyError, ValueError) as error:
        raise ValueError(f"{file}: not a whole .pvd collection ({error})") from error
    times = [time for time, _ in found]
    if len(set(times)) < len(times):
        raise ValueError(f"{file}: has several parts at one time; merge them into one file each")
    steps = []
    for time, name in sorted(found):
        inside(root, os.path.relpath(file.parent / name, root), file)
        steps.append(MeshStep(file.parent / name, None, time))
    return tuple(steps)


def _xdmf_times(file: Path) -> list[float]:
    """Times of a temporal collection; none if the file is a single mesh."""
    check_mesh_file(file)
    try:
        tree = ElementTree.parse(file)
    except ElementTree.ParseError as error:
        raise ValueError(f"{file}: not a whole XDMF file ({error})") from error
    for grid in tree.iter("Grid"):
        if grid.get("CollectionType", "").lower() == "temporal":
            times = [step.find("Time") for step in grid.findall("Grid")]
            return [float(t.get("Value", i)) if t is not None else i for i, t in enumerate(times)]
    return []
