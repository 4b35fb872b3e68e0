"""Which files of a folder make which cases."""

import os
import re
import xml.etree.ElementTree as ElementTree
from collections import defaultdict
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from flare_mesh.io.external_references import referenced_files, resolve_below
from flare_mesh.io.mesh_file_check import check_mesh_file
from flare_mesh.io.mesh_formats import READABLE_SUFFIXES, XDMF_SUFFIXES
from flare_mesh.io.xdmf_series import is_xdmf_series, xdmf_times

_NUMBERED = re.compile(r"^(.*?)[._-]*(\d+)$")
# Files that are made of others, which are no cases of their own.
_CONTAINERS = (".pvtu", ".vtm")
_ALL = "**/*"


class MeshStep(NamedTuple):
    """A mesh in a file.

    Attributes:
        file: Path of the file; text, of which there may be very many.
        number: Which of the time steps in the file; None if the file is one mesh.
        time: Its time, in the file's unit, or its number.
    """

    file: str
    number: int | None = None
    time: float = 0.0


class MeshCase(NamedTuple):
    """A mesh, or the steps of a trajectory.

    Attributes:
        name: Path of its file below the folder, without the suffix.
        steps: One step, or those of the trajectory in order of time.
        error: Why it cannot be used, if that is known.
    """

    name: str
    steps: tuple[MeshStep, ...]
    error: str | None = None


def find_mesh_cases(
    root: Path, *, series: bool, pattern: str = _ALL, leave_out: Iterable[Path] = ()
) -> list[MeshCase]:
    """The cases below ``root``, sorted by name.

    A collection that is damaged or names files outside of ``root`` is a case with an ``error``.

    Args:
        root: Folder, searched with its sub-folders; names that begin with a dot are left out.
        series: Whether a case is a trajectory: a ``.pvd`` collection, an XDMF file with several
            times, or files of one folder whose names differ in a final number. Otherwise each
            mesh file is a case of its own, and collections are left out.
        pattern: Which files, as :meth:`pathlib.Path.glob` has it, below ``root``.
        leave_out: Folders that are not searched.

    Raises:
        FileNotFoundError: If ``root`` is no folder, or there is nothing in it.
        ValueError: If two cases have the same name, or two files of a series the same number.
    """
    if not root.is_dir():
        raise FileNotFoundError(f"{root}: no such folder; give a folder of mesh files")
    files = _files(str(root), {os.path.abspath(folder) for folder in leave_out})
    if pattern != _ALL:
        try:
            chosen = {str(path) for path in root.glob(pattern)}
        except (NotImplementedError, ValueError, IndexError) as error:
            raise ValueError(f"{root}: '{pattern}' is no pattern below it ({error})") from error
        files = [file for file in files if file in chosen]
    collections = [file for file in files if _suffix(file) == ".pvd"]
    files = [file for file in files if _suffix(file) in READABLE_SUFFIXES]
    files, cases = _without_parts(root, files)
    cases += _trajectories(root, files, collections) if series else _single(root, files)
    if not cases:
        wanted = "time series (.pvd, XDMF, or numbered files)" if series else "mesh files"
        hint = "" if series else "; series of time steps in one file need a window"
        raise FileNotFoundError(
            f"{root}: no {wanted} in it that match '{pattern}'; expected names that end in "
            f"{', '.join(READABLE_SUFFIXES)}{hint}"
        )
    first: dict[str, MeshCase] = {}
    for case in cases:
        if case.error is None and first.setdefault(case.name, case) is not case:
            raise ValueError(
                f"{case.steps[0].file}: its case has the same name as that of "
                f"{first[case.name].steps[0].file}, '{case.name}'; rename one of them, or choose "
                f"files by pattern"
            )
    return sorted(cases, key=lambda case: case.name)


def _files(root: str, leave_out: set[str]) -> list[str]:
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = [
            name
            for name in folders
            if not name.startswith(".")
            and os.path.abspath(os.path.join(folder, name)) not in leave_out
        ]
        here = "" if folder == "." else folder.removeprefix("./")
        found += [os.path.join(here, name) for name in names if not name.startswith(".")]
    return found


def _suffix(file: str) -> str:
    return os.path.splitext(file)[1].lower()


def path_below(root: Path, file: str) -> str:
    """What follows the path ``root`` in that of ``file``, with slashes."""
    start = len(os.path.join(root, "")) if root.parts else 0
    return file[start:].replace(os.sep, "/")


def _name(root: Path, file: str) -> str:
    return os.path.splitext(path_below(root, file))[0]


def _without_parts(root: Path, files: list[str]) -> tuple[list[str], list[MeshCase]]:
    """The files that are not parts of others, and what is wrong with those others."""
    parts: set[Path] = set()
    broken: dict[str, MeshCase] = {}
    for file in files:
        if _suffix(file) in _CONTAINERS:
            path = Path(file)
            try:
                check_mesh_file(path)
                parts |= {resolve_below(path.parent, name, path) for name in referenced_files(path)}
            except (ValueError, OSError) as error:
                broken[file] = MeshCase(_name(root, file), (), str(error))
    if parts or broken:
        files = [f for f in files if f not in broken and Path(f).resolve() not in parts]
    return files, [*broken.values()]


def _single(root: Path, files: list[str]) -> list[MeshCase]:
    return [
        MeshCase(_name(root, file), (MeshStep(file),))
        for file in files
        if _suffix(file) not in XDMF_SUFFIXES or not is_xdmf_series(Path(file))
    ]


def _trajectories(root: Path, files: list[str], collections: list[str]) -> list[MeshCase]:
    cases = []
    for file in collections:
        try:
            cases.append(MeshCase(_name(root, file), _collected(root, Path(file))))
        except (ValueError, OSError) as error:
            cases.append(MeshCase(_name(root, file), (), str(error)))
    used = {Path(step.file).resolve() for case in cases for step in case.steps}
    numbered: dict[tuple[str, str, str], list[tuple[int, str]]] = defaultdict(list)
    for file in files:
        if used and Path(file).resolve() in used:
            continue
        name = _name(root, file)
        folder, stem = os.path.split(name)
        if _suffix(file) in XDMF_SUFFIXES:
            try:
                cases.append(MeshCase(name, series_steps(Path(file))))
            except (ValueError, OSError) as error:
                cases.append(MeshCase(name, (), str(error)))
        elif match := _NUMBERED.match(stem):
            numbered[folder, match[1], _suffix(file)].append((int(match[2]), file))
    for (folder, stem, _), members in numbered.items():
        members.sort()
        for (number, file), (following, other) in pairwise(members):
            if number == following:
                raise ValueError(
                    f"{other}: has the number of {file}, {number}; rename or remove one of them"
                )
        steps = tuple(MeshStep(file, None, float(number)) for number, file in members)
        cases.append(MeshCase("/".join(filter(None, (folder, stem))) or ".", steps))
    return [case for case in cases if case.error is not None or len(case.steps) > 1]


def series_steps(file: Path) -> tuple[MeshStep, ...]:
    """The steps of a ``.pvd`` collection or of an XDMF file; none if the latter is a single mesh.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged, or names files outside of its folder.
    """
    if file.suffix.lower() == ".pvd":
        return _collected(file.parent, file)
    return tuple(MeshStep(str(file), i, time) for i, time in enumerate(xdmf_times(file)))


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
        below = os.path.relpath(file.parent / name, root)
        resolve_below(root, below, file)
        steps.append(MeshStep(str(root / below), None, time))
    return tuple(steps)
