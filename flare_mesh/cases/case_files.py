"""Search of a folder for the files that make up cases."""

import os
import re
import xml.etree.ElementTree as ElementTree
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from flare_mesh.io.external_references import referenced_files, resolve_below
from flare_mesh.io.mesh_file_check import check_mesh_file
from flare_mesh.io.mesh_formats import READABLE_SUFFIXES, XDMF_SUFFIXES
from flare_mesh.io.readers.xdmf import is_xdmf_series
from flare_mesh.io.time_steps import mesh_times

_NUMBERED = re.compile(r"^(.*?)[._-]*(\d+)$")
# Formats that assemble a mesh from pieces in other files, which are not cases themselves.
_CONTAINERS = (".pvtu", ".vtm")
_ALL = "**/*"


class MeshStep(NamedTuple):
    """A mesh in a file, or one time step of a file.

    Attributes:
        file: Path of the file; a string, since a folder may have very many.
        number: Index of the time step in the file; None if the file has a single mesh.
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


def find_case_files(
    root: Path,
    *,
    series: bool,
    suffixes: Sequence[str] = READABLE_SUFFIXES,
    pattern: str = _ALL,
    leave_out: Iterable[Path] = (),
) -> list[CaseFiles]:
    """Find the cases below ``root``, sorted by name.

    A damaged collection, or one that names files outside ``root``, is a case with an ``error``.

    Args:
        root: Folder to search with its sub-folders; names that begin with a dot are skipped.
        series: Whether a case is a time series: a ``.pvd`` collection, an XDMF file with several
            times, or files of one folder whose names differ in a final number. Otherwise each
            mesh file is a case, and files of time series are skipped.
        suffixes: Suffixes of the files to find.
        pattern: Glob pattern relative to ``root``, see :meth:`pathlib.Path.glob`.
        leave_out: Folders to skip.

    Raises:
        FileNotFoundError: If ``root`` is not a folder or has no cases.
        ValueError: If the pattern is invalid, two cases have the same name, or two files of a
            series have the same number.
    """
    if not root.is_dir():
        raise FileNotFoundError(f"{root}: no such folder; give a folder of mesh files")
    files = _list_files(str(root), {os.path.abspath(folder) for folder in leave_out})
    if pattern != _ALL:
        try:
            chosen = {str(path) for path in root.glob(pattern)}
        except (NotImplementedError, ValueError, IndexError) as error:
            raise ValueError(f"{root}: invalid pattern '{pattern}' ({error})") from error
        files = [file for file in files if file in chosen]
    collections = [file for file in files if _suffix(file) == ".pvd"]
    files = [file for file in files if _suffix(file) in suffixes]
    files, cases = _without_pieces(root, files)
    cases += _series(root, files, collections) if series else _single(root, files)
    if not cases:
        kind = "time series (.pvd, XDMF, or numbered files)" if series else "mesh files"
        matching = "" if pattern == _ALL else f" that match '{pattern}'"
        hint = "" if series else "; time series in one file need a window"
        raise FileNotFoundError(
            f"{root}: no {kind}{matching}; expected names that end in {', '.join(suffixes)}{hint}"
        )
    first: dict[str, CaseFiles] = {}
    for case in cases:
        if case.error is None and first.setdefault(case.name, case) is not case:
            raise ValueError(
                f"{case.file}: makes a case of the same name, '{case.name}', as "
                f"{first[case.name].file}; rename one of them, or select files by a pattern"
            )
    return sorted(cases, key=lambda case: case.name)


def series_steps(file: Path, root: Path | None = None) -> tuple[MeshStep, ...]:
    """The time steps of a ``.pvd`` collection or an XDMF file; empty for an XDMF file of one mesh.

    Args:
        file: The file.
        root: Folder that must contain the files of a collection; by default the file's own.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If it is damaged, or names files outside ``root``.
    """
    if file.suffix.lower() != ".pvd":
        return tuple(MeshStep(str(file), i, time) for i, time in enumerate(mesh_times(file)))
    root = file.parent if root is None else root
    check_mesh_file(file)
    try:
        found = [
            (float(entry.get("timestep", "0")), entry.attrib["file"])
            for entry in ElementTree.parse(file).iter("DataSet")
        ]
    except (ElementTree.ParseError, KeyError, ValueError) as error:
        raise ValueError(f"{file}: damaged .pvd collection ({error})") from error
    if len({time for time, _ in found}) < len(found):
        raise ValueError(
            f"{file}: has several files for one time; merge the parts of a time into one file"
        )
    steps = []
    for time, name in sorted(found):
        below = os.path.relpath(file.parent / name, root)
        resolve_below(root, below, file)
        steps.append(MeshStep(str(root / below), None, time))
    return tuple(steps)


def path_below(root: Path, file: str) -> str:
    """The part of a path that follows ``root``, with slashes."""
    start = len(os.path.join(root, "")) if root.parts else 0
    return file[start:].replace(os.sep, "/")


def _list_files(root: str, leave_out: set[str]) -> list[str]:
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = [
            name
            for name in folders
            if not name.startswith(".")
            and os.path.abspath(os.path.join(folder, name)) not in leave_out
        ]
        # As pathlib writes paths below ".".
        below = "" if folder == "." else folder.removeprefix("./")
        found += [os.path.join(below, name) for name in names if not name.startswith(".")]
    return found


def _suffix(file: str) -> str:
    return os.path.splitext(file)[1].lower()


def _name(root: Path, file: str) -> str:
    return os.path.splitext(path_below(root, file))[0]


def _without_pieces(root: Path, files: list[str]) -> tuple[list[str], list[CaseFiles]]:
    """The files that are not pieces of containers, and the damaged containers as cases."""
    pieces: set[Path] = set()
    damaged: dict[str, CaseFiles] = {}
    for file in files:
        if _suffix(file) in _CONTAINERS:
            path = Path(file)
            try:
                check_mesh_file(path)
                pieces |= {
                    resolve_below(path.parent, name, path) for name in referenced_files(path)
                }
            except (ValueError, OSError) as error:
                damaged[file] = CaseFiles(_name(root, file), root, (), str(error))
    if pieces or damaged:
        files = [f for f in files if f not in damaged and Path(f).resolve() not in pieces]
    return files, [*damaged.values()]


def _single(root: Path, files: list[str]) -> list[CaseFiles]:
    return [
        CaseFiles(_name(root, file), root, (MeshStep(file),))
        for file in files
        if _suffix(file) not in XDMF_SUFFIXES or not is_xdmf_series(Path(file))
    ]


def _series(root: Path, files: list[str], collections: list[str]) -> list[CaseFiles]:
    cases = [_series_case(root, file) for file in collections]
    used = {Path(step.file).resolve() for case in cases for step in case.steps}
    numbered: dict[tuple[str, str, str], list[tuple[int, str]]] = defaultdict(list)
    for file in files:
        if used and Path(file).resolve() in used:
            continue
        folder, stem = os.path.split(_name(root, file))
        if _suffix(file) in XDMF_SUFFIXES:
            cases.append(_series_case(root, file))
        elif match := _NUMBERED.match(stem):
            numbered[folder, match[1], _suffix(file)].append((int(match[2]), file))
    for (folder, stem, _), members in numbered.items():
        members.sort()
        for (number, file), (following, other) in pairwise(members):
            if number == following:
                raise ValueError(
                    f"{other}: has the same number, {number}, as {file}; rename or remove one"
                )
        steps = tuple(MeshStep(file, None, float(number)) for number, file in members)
        cases.append(CaseFiles("/".join(filter(None, (folder, stem))) or ".", root, steps))
    return [case for case in cases if case.error is not None or len(case.steps) > 1]


def _series_case(root: Path, file: str) -> CaseFiles:
    try:
        return CaseFiles(_name(root, file), root, series_steps(Path(file), root))
    except (ValueError, OSError) as error:
        return CaseFiles(_name(root, file), root, (), str(error))
