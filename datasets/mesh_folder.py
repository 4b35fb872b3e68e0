"""A folder of mesh files as a data set."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from flare_mesh.cases.case_files import CaseFiles
from flare_mesh.cases.case_scalars import NameScalars, TableScalars
from flare_mesh.cases.mesh_cache import MeshCache
from flare_mesh.cases.prediction_mark import asks_for_predictions
from flare_mesh.cases.recipe import ALLOWED, CaseRecipe
from flare_mesh.data.time_window import TimeWindow
from flare_mesh.datasets.field_dataset import FieldDataset
from flare_mesh.datasets.folder_cases import (
    check_cases,
    find_split,
    most_common,
    usable_cases,
    warn_of_files,
)
from flare_mesh.io.arrays import MAX_BYTES
from flare_mesh.mesh import MeshData
from flare_mesh.mesh.mesh_storage import CELL_PREFIX, RESERVED, check_origin

# Names under which a case has something else than a field.
_RESERVED = RESERVED | {"x", "y", "weight", "case_id"}


class MeshFolder(FieldDataset):
    """A folder of mesh files of any readable format, size and mix of cell types.

    A field is found by its name among the node fields, cell fields and field data of a file, and
    becomes float32 [N, C]; a name in the file names or the table is one number for the whole case.
    Each file is read and checked once, and its case is stored as npz in ``cache``; it is read
    again only when it changes.

    With ``window=(n_in, n_out)`` a case is ``n_in`` consecutive steps of a time series as ``x``
    [N, n_in C] and the ``n_out`` that follow as ``y`` [N, n_out C], step by step (channel
    t C + c); :func:`~flare_mesh.cases.folder_search.find_case_files` says which files are a series.
    A window counts steps: a warning names series whose steps are not equally far apart in time.

    Files that predictions were written to are left out, unless a field of theirs
    (``predicted_<name>`` or ``error_<name>``) is asked for. A warning names all that is left out.

    Args:
        root: The folder. If it has a sub-folder ``split``, the cases are there; otherwise all
            files, or all series, are divided by ``fractions``.
        split: Name of the split; None for all cases.
        inputs: Fields of ``x``, by name.
        targets: Fields of ``y``, by name.
        pattern: Glob pattern of the files below the folder, see :meth:`pathlib.Path.glob`.
        fractions: Share of each split; by default 0.8 for ``train`` and 0.2 for ``test``.
        seed: Seed of the division.
        on: ``"nodes"``, with cell fields averaged to the nodes; or ``"cells"``, with the cell
            centroids as points and node fields averaged to them. A solid with boundary cells has
            only the cells of the solid.
        name_pattern: Regular expression whose named groups are numbers for the case.
        table: CSV file of numbers for each case, absolute or relative to ``root``; its first
            column names the cases.
        window: Steps in and out of a time series; None out for all that follow.
        step: Index of the time step to read of files that have several, negative from the last.
        mode: ``"windows"`` for a case at each step, ``"rollout"`` for the first of each series.
        units: Unit of each field, for plots and files.
        edges: Adds ``edge_index`` from the cells.
        weights: Adds ``weight`` [N], the quadrature weight of each point.
        origin: Point that is subtracted from the coordinates in float64, the same for all files;
            needed where float32 does not resolve them, such as UTM.
        allow: Mesh faults to accept, see :func:`~flare_mesh.mesh.checks.check_mesh`.
        skip_bad: Logs and leaves out cases that cannot be used.
        cache: Folder of the cached cases; by default ``processed`` below ``root``.
        workers: Processes that read new files.
        follow_links: Follow links out of ``root`` too; others are always followed.
        transform: Applied to each case on access, as in PyG.
        max_bytes: Limit of the size that a file may declare.

    Raises:
        FileNotFoundError: If there is no file to read.
        ValueError: If a file cannot be used, lacks a field, or has other channels than most; if an
            option is invalid, a name is reserved, or ``cache`` is not writable.
    """

    def __init__(
        self,
        root: str | Path,
        split: str | None = "train",
        *,
        inputs: str | Sequence[str] = (),
        targets: str | Sequence[str],
        pattern: str = "**/*",
        fractions: Mapping[str, float] | None = None,
        seed: int = 0,
        on: str = "nodes",
        name_pattern: str | None = None,
        table: str | Path | None = None,
        window: tuple[int, int | None] | None = None,
        step: int | None = None,
        mode: str = "windows",
        units: Mapping[str, str] | None = None,
        edges: bool = False,
        weights: bool = False,
        origin: Sequence[float] | None = None,
        allow: str | Sequence[str] = ALLOWED,
        skip_bad: bool = False,
        cache: str | Path | None = None,
        workers: int = 0,
        follow_links: bool = False,
        transform: Callable[[Any], Any] | None = None,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        if on not in ("nodes", "cells"):
            raise ValueError(f"MeshFolder: unknown on='{on}'; choose 'nodes' or 'cells'")
        if on == "cells" and edges:
            raise ValueError(
                "MeshFolder: edges connect nodes; choose on='nodes', or add the feature KNNEdges"
            )
        if window is not None and step is not None:
            raise ValueError("MeshFolder: a window takes all time steps; leave out 'step'")
        if window is not None:
            TimeWindow.from_trajectory(2, (1, 1), mode, "MeshFolder")  # checks the mode
        root, units = Path(root), units or {}
        inputs, targets = _names(inputs), _names(targets)
        self._fields = tuple(dict.fromkeys([*inputs, *targets]))
        _check_names(self._fields, units)
        folder = Path(cache) if cache is not None else root / "processed"
        search = {
            "series": window is not None,
            "step": step,
            "pattern": pattern,
            "leave_out": [folder],
            "follow_links": follow_links,
            "predictions": asks_for_predictions(self._fields),
        }
        cases = find_split(root, split, fractions=fractions, seed=seed, **search)
        scalars: list[NameScalars | TableScalars] = []
        scalars += [NameScalars(name_pattern)] if name_pattern is not None else []
        scalars += [TableScalars(root / table)] if table is not None else []
        self._scalars: dict[str, dict[str, float]] = {}
        cases = check_cases(cases, lambda case: self._read_scalars(case, scalars))
        in_names = {name for source in scalars for name in source.columns}
        recipe = CaseRecipe(
            step=step,
            on=on,
            edges=edges,
            weights=weights,
            origin=None if origin is None else check_origin(origin),
            allow=_names(allow),
            name_pattern=name_pattern,
            table=None if table is None else str(table),
        )
        in_files = tuple(name for name in self._fields if name not in in_names)
        self.cache = MeshCache(folder, root, recipe, in_files, max_bytes=max_bytes)
        self.feature_folder = folder / "features"
        cases, channels = self._fill_cache(cases, workers)
        channels |= {name: 1 for name in self._fields if name in in_names}
        windows: dict[str, TimeWindow] = {}
        if window is not None:
            cases, windows = _fit_windows(cases, window, mode)
        cases = usable_cases(root, cases, skip_bad=skip_bad)

        self.window: tuple[int, int] | None = None
        if window is None:
            self._starts = [(case, 0) for case in cases]
            names = [case.name for case in cases]
            self.FIELDS = {name: channels[name] for name in self._fields}
            self.UNITS = dict(units)
        else:
            fitted = windows[cases[0].name]
            self.window = fitted.num_in, fitted.num_out
            self._starts = [(case, i) for case in cases for i in windows[case.name].starts]
            names = [name for case in cases for name in windows[case.name].names(case.name)]
            steps = {"in": fitted.num_in, "out": fitted.num_out}
            self.FIELDS = {f"{n}_{s}": channels[n] * steps[s] for s in steps for n in self._fields}
            self.UNITS = {f"{n}_{s}": unit for s in steps for n, unit in units.items()}
            inputs = [f"{name}_in" for name in inputs]
            targets = [f"{name}_out" for name in targets]
        super().__init__(root, names, inputs=inputs, targets=targets, transform=transform)

    def recipe(self) -> CaseRecipe:
        """The recipe by which a mesh file of the folder becomes a case."""
        return replace(
            self.cache.recipe,
            dataset="MeshFolder",
            inputs=self.input_channels,
            targets=self.target_channels,
            units=dict(self.UNITS),
            window=self.window,
        )

    def read(self, index: int) -> MeshData:
        case, start = self._starts[index]
        if self.window is None:
            return self._read_step(case, 0)
        num_in, num_out = self.window
        steps = [self._read_step(case, start + i) for i in range(num_in + num_out)]
        nodes = [len(step.pos) for step in steps]
        if len(set(nodes)) > 1:
            raise ValueError(
                f"{case.steps[start].file}: the mesh changes within the series, from {nodes[0]} to "
                f"{next(n for n in nodes if n != nodes[0])} nodes; a window needs a single mesh"
            )
        data = steps[num_in - 1]
        # All before any is set, since a field may be called 'T_in' beside 'T'.
        values = {name: [step[name] for step in steps] for name in self._fields}
        for name, series in values.items():
            data[f"{name}_in"] = torch.cat(series[:num_in], dim=1)
            data[f"{name}_out"] = torch.cat(series[num_in:], dim=1)
        time = case.steps[start + num_in - 1].time
        data.time = torch.tensor([time], dtype=torch.float64)
        return data

    def _read_step(self, case: CaseFiles, number: int) -> MeshData:
        data = self.cache.read(case.steps[number])
        for name, value in self._scalars[case.name].items():
            data[name] = torch.tensor([[value]])
        return data

    def _read_scalars(self, case: CaseFiles, scalars: Sequence[NameScalars | TableScalars]) -> None:
        found: dict[str, float] = {}
        for source in scalars:
            wanted = [name for name in source.columns if name in self._fields]
            found |= source.values(case.name, wanted)
        self._scalars[case.name] = found

    def _fill_cache(
        self, cases: list[CaseFiles], workers: int
    ) -> tuple[list[CaseFiles], dict[str, int]]:
        """Cache all meshes.

        Returns:
            The cases, with the errors of those that cannot be used, and the channels of the fields.
        """
        steps = [step for case in cases if case.error is None for step in case.steps]
        entries = self.cache.update(steps, workers=workers)
        warn_of_files(
            (step.file, text) for step in entries for text in entries[step].get("warnings", ())
        )
        known = [entry["channels"] for entry in entries.values() if "error" not in entry]
        channels = {name: most_common(one[name] for one in known) for name in self.cache.fields}

        def check(case: CaseFiles) -> None:
            for step in case.steps:
                entry = entries[step]
                if "error" in entry:
                    raise ValueError(entry["error"])
                for name, got in entry["channels"].items():
                    if got != channels[name]:
                        raise ValueError(
                            f"{step.file}: expected '{name}' with {channels[name]} channels, as in "
                            f"most files (got {got})"
                        )

        return check_cases(cases, check), channels


def _fit_windows(
    cases: list[CaseFiles], window: tuple[int, int | None], mode: str
) -> tuple[list[CaseFiles], dict[str, TimeWindow]]:
    """The cases, and the windows of each series, all with the same number of steps out."""
    windows: dict[str, TimeWindow] = {}

    def fit(case: CaseFiles) -> None:
        place = f"{case.root}, '{case.name}'"
        windows[case.name] = TimeWindow.from_trajectory(len(case.steps), window, mode, place)

    cases = check_cases(cases, fit)
    expected = most_common(fitted.num_out for fitted in windows.values())

    def check_length(case: CaseFiles) -> None:
        steps = windows[case.name].num_out
        if steps != expected:
            raise ValueError(
                f"{case.root}, '{case.name}': expected {expected} steps out, as in most series "
                f"(got {steps})"
            )

    return check_cases(cases, check_length), windows


def _names(names: str | Sequence[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)


def _check_names(fields: Sequence[str], units: Mapping[str, str]) -> None:
    for name in fields:
        if name in _RESERVED or f"{name}_".startswith(CELL_PREFIX):
            raise ValueError(
                f"MeshFolder: the name '{name}' is reserved and cannot be an input or target; "
                f"rename that field or column"
            )
    unknown = [name for name in units if name not in fields]
    if unknown:
        raise ValueError(
            f"MeshFolder: expected units of the inputs and targets {[*fields]} (got units of "
            f"{unknown}); use the same names"
        )
