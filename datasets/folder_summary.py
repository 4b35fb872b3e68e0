"""What is in a folder of mesh files."""

import os
import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from flare_mesh.cases.case_files import CaseFiles, MeshStep, case_name
from flare_mesh.cases.case_statistics import CaseStatistics, case_statistics
from flare_mesh.cases.case_tables import CaseTable, find_case_table, read_case_table
from flare_mesh.cases.folder_search import find_case_files
from flare_mesh.cases.name_numbers import NameNumbers, find_name_numbers
from flare_mesh.cases.recipe import CaseRecipe
from flare_mesh.data.splits import FRACTIONS, spaced_indices, split_names
from flare_mesh.datasets.data_summary import DataSummary
from flare_mesh.datasets.fixed_mesh import FixedMesh, all_fields, equal_fields
from flare_mesh.datasets.folder_cases import find_split, warn_of_files
from flare_mesh.io import MeshFileWarning, mesh_times, read_mesh
from flare_mesh.io.mesh_formats import mesh_format
from flare_mesh.mesh import MeshData
from flare_mesh.mesh.cell_storage import cell_sizes
from flare_mesh.mesh.resolution import check_resolution

MAX_CASES = 64
"""Cases that are read for a summary."""
_SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class FolderSummary(DataSummary):
    """What is in a folder of mesh files, as :class:`~flare_mesh.datasets.MeshFolder` reads them.

    ``print`` shows it in a few lines.

    Attributes:
        root: The folder.
        formats: Number of cases of each suffix.
        series: Whether the cases are time series.
        steps: Smallest and largest number of time steps of a case; (1, 1) without time steps.
        has_steps: Whether some cases have several time steps, of which the last was read.
        origin: Point to subtract from the coordinates, since float32 does not resolve them.
        names: Numbers in the names of the cases.
        table: Table of numbers of the cases.
        bad: Cases that cannot be used, of those that were read, with the reason.
    """

    root: Path
    formats: dict[str, int]
    series: bool
    steps: tuple[int, int]
    has_steps: bool
    origin: tuple[float, float, float] | None
    names: NameNumbers
    table: CaseTable | None
    bad: tuple[tuple[str, str], ...]

    def describe_cases(self) -> str:
        """Number and formats of the cases, in words."""
        formats = ", ".join(f"{count} {suffix}" for suffix, count in self.formats.items())
        looked_at = len(self.sampled) + len(self.bad)
        some = f"; {looked_at} of them, evenly spaced, were read" * (looked_at < self.num_cases)
        return f"{self.root}: {self.num_cases} cases ({formats}){some}"

    def __str__(self) -> str:
        numbers = [f"{name} (file names)" for name in self.names.values]
        table = self.table
        if table is not None:
            numbers += [f"{name} ({table.path.name})" for name in table.columns]
        low, high = self.steps
        return "\n".join(
            [
                self.describe_cases(),
                self.describe_meshes(),
                f"fields: {', '.join(map(str, self.fields.values())) or 'none'}",
                f"numbers: {', '.join(numbers) or 'none'}",
                *[f"time steps: {low} to {high}"] * (high > 1),
                *(f"cannot be used: {reason}" for _, reason in self.bad),
            ]
        )


def summarize_folder(
    root: str | Path,
    *,
    table: str | Path | None = None,
    series: bool = False,
    skip_bad: bool = False,
    max_cases: int = MAX_CASES,
) -> FolderSummary:
    """Find out what is in a folder of mesh files.

    All names and tables are read, and at most ``max_cases`` meshes, evenly spaced in the order of
    the names.

    Args:
        root: The folder, with cases or with folders ``train`` and ``test`` of cases.
        table: CSV file of numbers of the cases; by default the one in or beside the folder whose
            first column names them.
        series: Whether a case is a time series.
        skip_bad: Leave out cases that cannot be used.
        max_cases: Number of meshes to read.

    Raises:
        FileNotFoundError: If the folder or the table does not exist, or there are no cases.
        ValueError: If a case cannot be used, or several tables name the cases.
    """
    root = Path(root)
    cases, splits = _find_cases(root, series=series)
    training = _training_names([case.name for case in cases], splits)
    wrong = [(case.name, case.error) for case in cases if case.error is not None]
    cases = [case for case in cases if case.error is None]
    has_steps = not series and any(_is_of_collection(root, case) for case in cases)
    names = [case.name for case in cases]
    chosen = spaced_indices(len(cases), max_cases)
    sampled: list[CaseStatistics] = []
    units: dict[str, str] = {}
    fixed, origins = FixedMesh(), list[NDArray[np.float64]]()
    static: frozenset[str] | None = None
    found_steps = [1]
    warned: list[tuple[str, str]] = []
    progress = Console(stderr=True)
    for number in track(
        chosen, "reading meshes", console=progress, disable=not sys.stderr.isatty()
    ):
        case = cases[number]
        step = case.steps[-1]
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", MeshFileWarning)
            try:
                found_steps.append(len(case.steps) if series else _count_steps(step))
                mesh = _read(step)
                statistics = case_statistics(case.name, mesh)
                if len(case.steps) > 1:
                    same = equal_fields(all_fields(_read(case.steps[0])), all_fields(mesh))
                    static = same if static is None else static & same
            except Exception as error:  # readers raise errors of many types
                reason = str(error) or type(error).__name__
                wrong.append((case.name, reason))
                continue
        warned += [(step.file, str(one.message)) for one in caught]
        sampled.append(statistics)
        units |= {name: unit for name, unit in mesh.units.items() if name in statistics.fields}
        fixed.add(mesh)
        if _is_far(mesh):
            origins.append((statistics.low + statistics.high) / 2)
    warn_of_files(warned)
    _check_bad(root, wrong, len(chosen), skip_bad=skip_bad)
    if not sampled:
        raise ValueError(f"{root}: none of its {len(names)} cases can be used; {wrong[0][1]}")
    fields = sampled[0].fields.keys()
    found_table = _find_table(root, names, table)
    columns = () if found_table is None else [*found_table.columns]
    numbers = find_name_numbers(names, taken=[*fields, *columns])
    return FolderSummary(
        place=str(root),
        num_cases=len(cases),
        splits=splits,
        case_names=tuple(names),
        sampled=tuple(sampled),
        training=tuple(case for case in sampled if case.name in training),
        fixed_mesh=fixed.same_mesh,
        fixed_fields=fixed.same_fields,
        static_fields=static or frozenset(),
        units=units,
        root=root,
        formats=_count([_suffix(case.steps[-1].file) for case in cases]),
        series=series,
        steps=(min(found_steps[1:]), max(found_steps)),
        has_steps=has_steps or max(found_steps) > 1,
        origin=_origin(origins, sampled),
        names=numbers,
        table=found_table,
        bad=tuple(wrong),
    )


def _find_cases(root: Path, *, series: bool) -> tuple[list[CaseFiles], dict[str, int]]:
    search = {
        "series": series,
        # Of files with several steps the last; which they are is only known once they are read.
        "step": None if series else -1,
        "leave_out": [root / "processed"],
    }
    folders = [name for name in _SPLITS if (root / name).is_dir()]
    if not any(name in FRACTIONS for name in folders):
        return find_case_files(root, **search), {}
    if "train" not in folders:
        raise FileNotFoundError(
            f"{root}: has a folder '{folders[0]}' but no folder 'train'; put the cases to train on "
            f"into it"
        )
    found = {name: find_split(root, name, **search) for name in folders}
    counts = {name: sum(one.error is None for one in cases) for name, cases in found.items()}
    return [case for cases in found.values() for case in cases], counts


def _training_names(names: Sequence[str], splits: Mapping[str, int]) -> set[str]:
    """Names of the training cases, as :class:`~flare_mesh.datasets.MeshFolder` divides them."""
    if splits:
        return {name for name in names if name.startswith("train/")}
    return {*split_names([*dict.fromkeys(names)], "train")}


def _read(step: MeshStep) -> MeshData:
    """A mesh with all fields, in the types of the file."""
    mesh = read_mesh(step.file, step=step.number, dtype=None, edges=False)
    return CaseRecipe().check(mesh, step.file)


def _count_steps(step: MeshStep) -> int:
    if mesh_format(step.file).times is None:
        return 1
    return max(len(mesh_times(step.file)), 1)


def _is_of_collection(root: Path, case: CaseFiles) -> bool:
    return case_name(root, case.steps[-1].file) != case.name


def _is_far(mesh: MeshData) -> bool:
    """Whether float32 does not resolve the coordinates."""
    try:
        check_resolution(
            mesh.pos.double().numpy(), mesh.cell_index.numpy(), cell_sizes(mesh.cell_type).numpy()
        )
    except ValueError:
        return True
    return False


def _origin(
    middles: Sequence[NDArray[np.float64]], sampled: Sequence[CaseStatistics]
) -> tuple[float, float, float] | None:
    """A round point near the middle of all cases; None if their coordinates need none."""
    if not middles:
        return None
    extent = max(float(one.extents.max()) for one in sampled)
    digits = 10.0 ** np.floor(np.log10(extent))
    middle = np.mean(middles, axis=0)
    x, y, z = (np.floor(np.resize(np.r_[middle, 0.0], 3) / digits) * digits).tolist()
    return x, y, z


def _check_bad(root: Path, wrong: list[tuple[str, str]], looked_at: int, *, skip_bad: bool) -> None:
    if not wrong:
        return
    name, reason = wrong[0]
    reason = reason if reason.startswith(str(root)) else f"{root}, case '{name}': {reason}"
    text = f"{len(wrong)} of the {looked_at} cases looked at cannot be used, such as {reason}"
    if not skip_bad:
        raise ValueError(f"{text}; repair or remove them, or leave out such cases by --skip-bad")
    warnings.warn(f"{text}; such cases are left out", MeshFileWarning, stacklevel=3)


def _find_table(root: Path, names: Sequence[str], table: str | Path | None) -> CaseTable | None:
    if table is None:
        return find_case_table(root, names)
    path = Path(table)
    return read_case_table(path if path.exists() else root / path, names)


def _suffix(file: str) -> str:
    return os.path.splitext(file)[1].lower()


def _count(values: Sequence[str]) -> dict[str, int]:
    return {value: values.count(value) for value in dict.fromkeys(values)}
