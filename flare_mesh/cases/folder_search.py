"""Search of a folder for the files that make up cases."""

import os
import warnings
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from flare_mesh.cases.case_files import (
    COLLECTION_SUFFIXES,
    SERIES_SUFFIXES,
    CaseFiles,
    MeshStep,
    case_name,
    one_step,
    path_below,
    series_steps,
)
from flare_mesh.cases.numbered_files import find_numbered_series
from flare_mesh.cases.prediction_mark import is_prediction
from flare_mesh.cases.time_intervals import warn_of_unequal_intervals
from flare_mesh.io import MeshFileWarning
from flare_mesh.io.external_references import referenced_files, resolve_below
from flare_mesh.io.folder_walk import FolderFiles, matching, walk_folder
from flare_mesh.io.mesh_file_check import check_mesh_file
from flare_mesh.io.mesh_formats import READABLE_SUFFIXES

# Formats that assemble a mesh from pieces in other files, which are not cases themselves.
_CONTAINERS = (".pvtu", ".vtm")
_ALL = "**/*"
_LISTED = 10
_OPENFOAM = "convert them by foamToVTK, since OpenFOAM's own files are not read"


def find_case_files(
    root: Path,
    *,
    series: bool,
    step: int | None = None,
    suffixes: Sequence[str] = READABLE_SUFFIXES,
    pattern: str = _ALL,
    leave_out: Iterable[Path] = (),
    within: Path | None = None,
    follow_links: bool = False,
    predictions: bool = False,
) -> list[CaseFiles]:
    """Find the cases below ``root``, sorted by name.

    A damaged collection, or one that names files outside ``root``, is a case with an ``error``.
    Files that could be meant as cases but are none are named in a warning: those that are in no
    time series, files that predictions were written to, and links that leave the folder.

    Args:
        root: Folder to search with its sub-folders; names that begin with a dot are skipped.
        series: Whether a case is a time series: a collection of ParaView (``.pvd`` or
            ``.vtu.series``), a file with several times, or files of one folder whose names differ
            in a final number, see
            :func:`~flare_mesh.cases.numbered_files.find_numbered_series`. Otherwise each mesh file
            is a case.
        step: Index of the time step to read of the files that have several, negative from the
            last; a collection is then a case too, in place of its files.
        suffixes: Suffixes of the files to find.
        pattern: Glob pattern relative to ``root``, see :meth:`pathlib.Path.glob`.
        leave_out: Folders to skip.
        within: Folder that links must not leave, by default ``root``.
        follow_links: Whether to follow links that leave it.
        predictions: Whether files that predictions were written to are cases.

    Raises:
        FileNotFoundError: If ``root`` is not a folder or has no cases.
        OSError: If ``root`` cannot be read.
        ValueError: If the pattern is invalid, two cases have the same name, or two files of a
            series have the same number.
    """
    if not root.is_dir():
        raise FileNotFoundError(f"{root}: no such folder; give a folder of mesh files")
    found = walk_folder(root, leave_out=leave_out, within=within, follow=follow_links)
    files = found.files
    if pattern != _ALL:
        files = matching(root, files, pattern)
    files = [file for file in files if _suffix(file) in (*suffixes, *COLLECTION_SUFFIXES)]
    ends = tuple(f"{suffix}.series" for suffix in suffixes)
    files = [f for f in files if not f.lower().endswith(".series") or f.lower().endswith(ends)]
    notes = _left_out(root, found, files, suffixes)
    if not predictions:
        others = _without(root, files, [file for file in files if is_prediction(file)])
        predicted = {*files}.difference(others)
        files = others
        notes += _note("files that predictions were written to", root, predicted)
    collections = [file for file in files if _suffix(file) in COLLECTION_SUFFIXES]
    files = [file for file in files if _suffix(file) not in COLLECTION_SUFFIXES]
    files, cases = _without_pieces(root, files)
    if series:
        series_cases, others = _series(root, files, collections)
        cases += series_cases
        note = _note("files that are in no time series", root, others)
        notes += [f"{text}: names of a series differ in the number at their end" for text in note]
    else:
        cases += _single(root, files, collections, step)
    if not cases:
        kind = "time series (.pvd, .series, files with several times, or numbered files)"
        kind = kind if series else "mesh files"
        match = "" if pattern == _ALL else f" that match '{pattern}'"
        raise FileNotFoundError(
            f"{root}: no {kind}{match}; expected names that end in {', '.join(suffixes)}"
            + "".join(f"; left out: {note}" for note in notes)
        )
    if notes:
        warnings.warn(f"{root}: left out: {'; '.join(notes)}", MeshFileWarning, stacklevel=2)
    first: dict[str, CaseFiles] = {}
    for case in cases:
        if case.error is None and first.setdefault(case.name, case) is not case:
            raise ValueError(
                f"{case.file}: makes a case of the same name, '{case.name}', as "
                f"{first[case.name].file}; rename one of them, or select files by a pattern"
            )
    return sorted(cases, key=lambda case: case.name)


def _left_out(
    root: Path, found: FolderFiles, files: list[str], suffixes: Sequence[str]
) -> list[str]:
    """What the search of a folder did not take, in words."""
    notes = []
    foam = [case for case in found.openfoam if not _has_any(case, files)]
    if foam:
        notes.append(f"OpenFOAM cases ({_list(root, foam)}): {_OPENFOAM}")
    wanted = (*suffixes, *COLLECTION_SUFFIXES)
    outside = [link for link in found.outside if _suffix(link) in wanted or os.path.isdir(link)]
    if outside:
        notes.append(
            f"links out of the folder ({_list(root, outside)}), which follow_links=True follows"
        )
    return notes + _note("folders that cannot be read", root, found.unreadable)


def _has_any(folder: str, files: list[str]) -> bool:
    start = "" if folder == "." else os.path.join(folder, "")
    return any(file.startswith(start) for file in files)


def _note(what: str, root: Path, paths: Collection[str]) -> list[str]:
    return [f"{what} ({_list(root, paths)})"] if paths else []


def _list(root: Path, paths: Collection[str]) -> str:
    names = [path_below(root, path) or "." for path in sorted(paths)]
    more = [f"and {len(names) - _LISTED} more"] if len(names) > _LISTED else []
    return ", ".join([*names[:_LISTED], *more])


def _without(root: Path, files: list[str], removed: list[str]) -> list[str]:
    """The files without those removed, and without the collections that name one of them."""
    if not removed:
        return files
    gone = {os.path.realpath(file) for file in removed}
    kept = [file for file in files if os.path.realpath(file) not in gone]
    return [
        file
        for file in kept
        if not (_suffix(file) in COLLECTION_SUFFIXES and _named_by(root, file) & gone)
    ]


def _named_by(root: Path, collection: str) -> set[str]:
    """The files of a collection; none if it is damaged, which is reported later."""
    try:
        return {os.path.realpath(step.file) for step in series_steps(Path(collection), root)}
    except (ValueError, OSError):
        return set()


def _suffix(file: str) -> str:
    return os.path.splitext(file)[1].lower()


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
                damaged[file] = CaseFiles(case_name(root, file), root, (), str(error))
    if pieces or damaged:
        files = [f for f in files if f not in damaged and Path(f).resolve() not in pieces]
    return files, [*damaged.values()]


def _single(
    root: Path, files: list[str], collections: list[str], step: int | None
) -> list[CaseFiles]:
    if step is not None and collections:
        used = {file for collection in collections for file in _named_by(root, collection)}
        files = [file for file in files if os.path.realpath(file) not in used] + collections
    cases = []
    for file in files:
        steps: tuple[MeshStep, ...] = ()
        error = None
        try:
            steps = (MeshStep(file) if step is None else one_step(Path(file), step, root),)
        except (ValueError, OSError) as reason:
            error = str(reason)
        cases.append(CaseFiles(case_name(root, file), root, steps, error))
    return cases


def _series(
    root: Path, files: list[str], collections: list[str]
) -> tuple[list[CaseFiles], list[str]]:
    """The time series, and the files that are in none."""
    cases: list[CaseFiles] = []
    whole: set[str] = set()
    for file in [*collections, *(file for file in files if _suffix(file) in SERIES_SUFFIXES)]:
        steps: tuple[MeshStep, ...] = ()
        error = None
        try:
            steps = series_steps(Path(file), root)
        except (ValueError, OSError) as reason:
            error = str(reason)
        if error is not None or len(steps) > 1:
            cases.append(CaseFiles(case_name(root, file), root, steps, error))
            whole.add(file)
    times = [(case.name, [step.time for step in case.steps], 0.0) for case in cases if case.steps]
    used = {os.path.realpath(step.file) for case in cases for step in case.steps}
    others = [file for file in [*files, *collections] if file not in whole]
    if used:
        others = [file for file in others if os.path.realpath(file) not in used]
    alike: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    for file in others:
        folder, stem = os.path.split(case_name(root, file))
        if _suffix(file) not in COLLECTION_SUFFIXES:
            alike[folder, _suffix(file)].append((file, stem))
    numbered: set[str] = set()
    for (folder, _), members in alike.items():
        for series in find_numbered_series(members):
            name = "/".join(filter(None, (folder, series.name))) or "."
            numbers = [float(number) for number in series.numbers]
            found = zip(series.files, numbers, strict=True)
            steps = tuple(MeshStep(file, None, number) for file, number in found)
            cases.append(CaseFiles(name, root, steps))
            numbered.update(series.files)
            times.append((name, numbers, 10.0**-series.digits if series.digits else 0.0))
    warn_of_unequal_intervals(root, times)
    return cases, [file for file in others if file not in numbered]
