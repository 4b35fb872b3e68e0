"""Files that a prediction is made for."""

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from flare_mesh.cases.mesh_cases import MeshStep, find_mesh_cases, series_steps
from flare_mesh.cases.recipe import CaseRecipe
from flare_mesh.cases.source_plugins import find_source_plugin
from flare_mesh.io.mesh_formats import READABLE_SUFFIXES

SERIES_SUFFIXES = (".pvd", ".xdmf", ".xmf")


@dataclass(frozen=True)
class MeshSource:
    """A mesh, or the steps of a time series, in files.

    Attributes:
        name: Path below the searched folder without the suffix, or the name of a single file. Name
            patterns and tables refer to the case by it.
        root: Folder that ``name`` is below.
        steps: One step, or the steps of a series in order of time.
    """

    name: str
    root: Path
    steps: tuple[MeshStep, ...]

    @property
    def file(self) -> Path:
        """The first file, which messages name."""
        return Path(self.steps[0].file)


def find_sources(
    paths: Sequence[str | Path], recipe: CaseRecipe, *, leave_out: Collection[Path] = ()
) -> list[MeshSource]:
    """The meshes in files and folders, sorted by name within a folder.

    Args:
        paths: Files, and folders that are searched with their sub-folders.
        recipe: The model's: with a window, time series are searched for, and with a source
            plug-in, its files too.
        leave_out: Folders that are not searched.

    Raises:
        FileNotFoundError: If a file does not exist, or a folder has nothing to predict.
        ValueError: If two sources have the same name, or a file cannot be used.
    """
    found: list[MeshSource] = []
    for given in paths:
        path = Path(given)
        if path.is_dir():
            found += _in_folder(path, recipe, leave_out)
        elif path.exists():
            found.append(MeshSource(path.stem, path.parent, _steps(path, recipe)))
        else:
            raise FileNotFoundError(f"{path}: no such file; give a mesh file or a folder of them")
    first: dict[str, MeshSource] = {}
    for source in found:
        other = first.setdefault(source.name, source)
        if other is not source:
            raise ValueError(
                f"{source.file}: has the same name as {other.file}, '{source.name}'; predict one "
                f"of them by itself"
            )
    return found


def _in_folder(root: Path, recipe: CaseRecipe, leave_out: Collection[Path]) -> list[MeshSource]:
    if recipe.source:
        suffixes = (*find_source_plugin(recipe.source).suffixes, *READABLE_SUFFIXES)
        files = _files(root, suffixes, leave_out)
        if not files:
            raise FileNotFoundError(
                f"{root}: no files to predict in it; expected names that end in "
                f"{', '.join(suffixes)}"
            )
        return [
            MeshSource(file.relative_to(root).with_suffix("").as_posix(), root, _single(file))
            for file in files
        ]
    cases = find_mesh_cases(root, series=recipe.window is not None, leave_out=leave_out)
    for case in cases:
        if case.error is not None:
            raise ValueError(f"{case.error}; repair or remove the file")
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


def _steps(path: Path, recipe: CaseRecipe) -> tuple[MeshStep, ...]:
    if recipe.window is None or path.suffix.lower() not in SERIES_SUFFIXES:
        return _single(path)
    return series_steps(path) or _single(path)
