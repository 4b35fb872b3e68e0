"""Which meshes a prediction is asked for."""

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from flare_mesh.cases.mesh_cases import MeshStep, find_mesh_cases, series_steps
from flare_mesh.cases.mesh_reading import MeshReading
from flare_mesh.io.mesh_formats import READABLE_SUFFIXES
from lpbf.core.part import PART_SUFFIXES

SERIES_SUFFIXES = (".pvd", ".xdmf", ".xmf")


@dataclass(frozen=True)
class MeshSource:
    """A mesh, or the steps of a time series, in files.

    Attributes:
        name: Path below the folder that was asked for, without the suffix; of a single file, its
            name. Name patterns and tables know the case by it.
        root: Folder that ``name`` is below.
        steps: One step, or those of the series in order of time.
    """

    name: str
    root: Path
    steps: tuple[MeshStep, ...]

    @property
    def file(self) -> Path:
        """The first file, by which messages call the source."""
        return Path(self.steps[0].file)


def find_sources(
    paths: Sequence[str | Path], reading: MeshReading, *, leave_out: Collection[Path] = ()
) -> list[MeshSource]:
    """The meshes in files and folders, those of a folder sorted by name.

    Args:
        paths: Files, and folders that are searched with their sub-folders.
        reading: Of the model: one of time series takes series, one of LPBF takes parts too.
        leave_out: Folders that are not searched.

    Raises:
        FileNotFoundError: If there is no such file, or nothing to predict in a folder.
        ValueError: If two of them have the same name, or a file cannot be used.
    """
    found: list[MeshSource] = []
    for given in paths:
        path = Path(given)
        if path.is_dir():
            found += _in_folder(path, reading, leave_out)
        elif path.exists():
            found.append(MeshSource(path.stem, path.parent, _steps(path, reading)))
        else:
            raise FileNotFoundError(f"{path}: no such file; give a mesh file or a folder of them")
    first: dict[str, MeshSource] = {}
    for source in found:
        other = first.setdefault(source.name, source)
        if other is not source:
            raise ValueError(
                f"{source.file}: has the name of {other.file}, '{source.name}'; predict one of "
                f"them by itself"
            )
    return found


def _in_folder(root: Path, reading: MeshReading, leave_out: Collection[Path]) -> list[MeshSource]:
    if reading.dataset == "lpbf":
        files = _files(root, (*PART_SUFFIXES, *READABLE_SUFFIXES), leave_out)
        if not files:
            raise FileNotFoundError(
                f"{root}: no parts ({', '.join(PART_SUFFIXES)}) or mesh files in it"
            )
        return [
            MeshSource(file.relative_to(root).with_suffix("").as_posix(), root, _single(file))
            for file in files
        ]
    cases = find_mesh_cases(root, series=reading.window is not None, leave_out=leave_out)
    for case in cases:
        if case.error is not None:
            raise ValueError(f"{case.error}; mend or remove the file")
    return [MeshSource(case.name, root, case.steps) for case in cases]


def _files(root: Path, suffixes: Sequence[str], leave_out: Collection[Path]) -> list[Path]:
    closed = {os.path.abspath(folder) for folder in leave_out}
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = [
            name
            for name in folders
            if not name.startswith(".") and os.path.abspath(Path(folder, name)) not in closed
        ]
        found += [
            Path(folder, name)
            for name in names
            if not name.startswith(".") and Path(name).suffix.lower() in suffixes
        ]
    return sorted(found)


def _single(path: Path) -> tuple[MeshStep, ...]:
    return (MeshStep(str(path)),)


def _steps(path: Path, reading: MeshReading) -> tuple[MeshStep, ...]:
    if reading.window is None or path.suffix.lower() not in SERIES_SUFFIXES:
        return _single(path)
    return series_steps(path) or _single(path)
