"""The cases of a viewer, from runs, predictions and mesh files."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from flare_mesh.cases.case_files import COLLECTION_SUFFIXES, series_steps
from flare_mesh.files import check_readable
from flare_mesh.io.mesh_formats import READABLE_SUFFIXES
from flare_mesh.viewer.fields import ViewField, list_fields
from flare_mesh.visualize.series import Frame, frames_of

_KEPT = 6


@dataclass(frozen=True)
class ViewCase:
    """A case that can be shown.

    Attributes:
        name: Name in the list of cases.
        load: Function that reads or predicts what :func:`~flare_mesh.visualize.plot_field` can
            draw.
    """

    name: str
    load: Callable[[], Any]


@dataclass(frozen=True)
class ViewMesh:
    """One step of a case.

    Attributes:
        grid: The mesh with its fields.
        fields: Its fields by their names.
        steps: Names of all steps of the case; one without a name if it is no series.
    """

    grid: Any
    fields: dict[str, ViewField]
    steps: tuple[str, ...]


class CaseStore:
    """The cases in their order, of which the last ones that were shown are kept in memory."""

    def __init__(self, cases: Sequence[ViewCase]) -> None:
        self._cases = {case.name: case for case in cases}
        self._frames: OrderedDict[str, list[Frame]] = OrderedDict()
        self._meshes: OrderedDict[tuple[str, int], ViewMesh] = OrderedDict()

    @property
    def names(self) -> list[str]:
        """Names of the cases."""
        return [*self._cases]

    def add(self, case: ViewCase) -> None:
        """Add a case, or replace the one of its name."""
        self._cases[case.name] = case
        self._frames.pop(case.name, None)
        for key in [key for key in self._meshes if key[0] == case.name]:
            del self._meshes[key]

    def mesh(self, name: str, step: int) -> ViewMesh:
        """A step of a case; the last one, if it has fewer steps.

        Raises:
            ValueError: If there is no such case, or it cannot be read.
        """
        if name not in self._cases:
            raise ValueError(f"there is no case '{name}'; choose one of the list")
        if name not in self._frames:
            self._frames[name] = frames_of(self._cases[name].load())
        frames = self._frames[name]
        step = max(0, min(step, len(frames) - 1))
        key = name, step
        if key not in self._meshes:
            grid = frames[step].grid()
            fields = {field.name: field for field in list_fields(grid)}
            steps = tuple(frame.caption for frame in frames)
            self._meshes[key] = ViewMesh(grid, fields, steps)
        self._frames.move_to_end(name)
        self._meshes.move_to_end(key)
        for kept in (self._frames, self._meshes):
            while len(kept) > _KEPT:
                kept.popitem(last=False)
        return self._meshes[key]


def find_cases(
    sources: Sequence[str | Path], *, data: str | Path | None = None, trust_code: bool = False
) -> tuple[list[ViewCase], Path | None]:
    """The cases of some runs, folders and files, and the first run.

    Args:
        sources: Folders of runs, whose test cases are predicted when they are shown; files of
            meshes or predictions, or folders of them.
        data: Folder of the data set of a run; by default where it was in training.
        trust_code: Whether a run may name a model or data set outside this package.

    Raises:
        FileNotFoundError: If there is no such file or folder.
        ValueError: If a source has nothing to show.
    """
    found: list[ViewCase] = []
    runs = [Path(source) for source in sources if (Path(source) / "config.yaml").is_file()]
    if data is not None and not runs:
        raise ValueError(f"data: expected a run, whose data set it is (got {[*map(str, sources)]})")
    for source in map(Path, sources):
        if not source.exists():
            raise FileNotFoundError(f"{source}: no such file or folder")
        if source in runs:
            found += _run_cases(source, data, trust_code)
        elif source.is_dir():
            files = _mesh_files(source)
            found += [
                ViewCase(str(file.relative_to(source)), partial(Path, file)) for file in files
            ]
        else:
            found.append(ViewCase(source.name, partial(Path, source)))
    return _with_own_names(found), next(iter(runs), None)


def _run_cases(folder: Path, data: str | Path | None, trust_code: bool) -> list[ViewCase]:
    from flare_mesh.report.numbers import short
    from flare_mesh.report.run_cases import RunCases
    from flare_mesh.surrogate.load import load_surrogate
    from flare_mesh.training.run_results import RunResults

    results = RunResults.read(folder)
    surrogate = load_surrogate(folder, trust_code=trust_code)
    test = RunCases(results, surrogate, root=data, trust_code=trust_code)
    means = results.case_means()
    known = [name for name in means if name in test.names]
    others = [name for name in test.names if name not in means]
    return [
        ViewCase(
            f"{name} (error {short(means[name])})" if name in means else name,
            partial(test.predict, name),
        )
        for name in [*known, *others]
    ]


def _mesh_files(folder: Path) -> list[Path]:
    """Mesh files and collections of time steps in a folder, without the steps' files."""
    check_readable(folder)
    suffixes = {*READABLE_SUFFIXES, *COLLECTION_SUFFIXES}
    files = [file for file in sorted(folder.iterdir()) if file.suffix.lower() in suffixes]
    files = [file for file in files if file.is_file() and not file.name.startswith(".")]
    steps = set()
    for file in files:
        if file.suffix.lower() in COLLECTION_SUFFIXES:
            steps |= {Path(step.file).resolve() for step in series_steps(file)}
    files = [file for file in files if file.resolve() not in steps]
    if not files:
        raise ValueError(
            f"{folder}: expected the folder of a run (got no config.yaml), or mesh files of a type "
            f"among {', '.join(sorted(suffixes))} (got none)"
        )
    return files


def _with_own_names(cases: Sequence[ViewCase]) -> list[ViewCase]:
    """The cases, those with the name of an earlier one with a number."""
    found: dict[str, ViewCase] = {}
    for case in cases:
        name, number = case.name, 2
        while name in found:
            name, number = f"{case.name} ({number})", number + 1
        found[name] = ViewCase(name, case.load)
    return [*found.values()]
