"""A user's own results: any folder of mesh files as a data set."""

import logging
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import track
from torch.utils.data import DataLoader, Dataset

from flare_mesh.cases.case_scalars import NameScalars, TableScalars
from flare_mesh.cases.mesh_cache import MeshCache
from flare_mesh.cases.mesh_cases import MeshCase, MeshStep, find_mesh_cases
from flare_mesh.cases.recipe import ALLOWED, CaseRecipe
from flare_mesh.data.splits import FRACTIONS, split_names
from flare_mesh.data.time_window import TimeWindow
from flare_mesh.datasets.field_dataset import FieldDataset
from flare_mesh.io.arrays import MAX_BYTES
from flare_mesh.mesh import MeshData
from flare_mesh.mesh.mesh_storage import CELL_PREFIX, RESERVED

_log = logging.getLogger(__name__)
# What a case has under these names is something else.
_RESERVED = RESERVED | {"x", "y", "weight", "case_id"}


class MeshFolder(FieldDataset):
    """A folder of mesh files of any readable format, size and mix of cell types.

    A field is looked for by its name among the node fields, cell fields and field data of a file,
    and becomes float32 [N, C]; a name that the file names or the table know is taken from there,
    as one number for the whole case. Each file is read, checked and reduced to what is asked for
    when it is first met, and kept as npz in ``cache``; it is read again only when it changes.

    With ``window=(n_in, n_out)`` a case is ``n_in`` consecutive steps of a time series as ``x``
    [N, n_in C] and the ``n_out`` that follow as ``y`` [N, n_out C], step by step (channel
    t C + c); see :func:`~flare_mesh.cases.mesh_cases.find_mesh_cases` for what makes a series.

    Args:
        root: The folder. If it has a sub-folder of the name ``split``, that is searched;
            otherwise ``fractions`` divides all files, or all series, by their names.
        split: Name of the split; None for everything.
        inputs: Fields of ``x``, by name.
        targets: Fields of ``y``, by name.
        pattern: Which files below the folder, as :meth:`pathlib.Path.glob` has it.
        fractions: Share of each split; 0.8 ``train`` and 0.2 ``test`` by default.
        seed: Of the division.
        on: ``"nodes"``: cell fields are averaged to the nodes; or ``"cells"``: points are the
            centres of the cells, and node fields are averaged to them; of a solid with its
            boundary, the cells of the solid.
        name_pattern: Regular expression with named groups that are numbers of the case.
        table: CSV file, below ``root`` unless absolute, whose first column names the cases.
        window: Steps in and out of a time series; None out for all that follow.
        mode: ``"windows"`` for a case at each step, ``"rollout"`` for the first of each series.
        units: Unit of each field, for plots and files.
        edges: Adds ``edge_index`` from the cells.
        weights: Adds ``weight`` [N], the lumped mass.
        allow: Faults of meshes to let pass, see :func:`~flare_mesh.mesh.checks.check_mesh`.
        skip_bad: Logs and leaves out cases that cannot be used.
        cache: Folder of what is kept; ``processed`` below ``root`` by default.
        workers: Processes that read new files.
        transform: Applied to each case on access, as in PyG.
        max_bytes: Limit of what a file may declare.

    Raises:
        FileNotFoundError: If there is nothing to read.
        ValueError: If a file cannot be used, lacks a field, or has other channels than most; if an
            option does not fit, a name is reserved, or ``cache`` cannot be written to.
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
        mode: str = "windows",
        units: Mapping[str, str] | None = None,
        edges: bool = False,
        weights: bool = False,
        allow: str | Sequence[str] = ALLOWED,
        skip_bad: bool = False,
        cache: str | Path | None = None,
        workers: int = 0,
        transform: Callable[[Any], Any] | None = None,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        if on not in ("nodes", "cells"):
            raise ValueError(f"MeshFolder: unknown on='{on}'; choose 'nodes' or 'cells'")
        if on == "cells" and edges:
            raise ValueError("MeshFolder: edges join nodes; take on='nodes', or add KNNEdges")
        if window is not None:
            TimeWindow.from_trajectory(2, (1, 1), mode, "MeshFolder")  # for the mode
        root = Path(root)
        inputs, targets = _names(inputs), _names(targets)
        asked = tuple(dict.fromkeys([*inputs, *targets]))
        _check_names(asked, units or {})
        kept = Path(cache) if cache is not None else root / "processed"
        found = self._find(root, split, window is not None, pattern, fractions, seed, kept)
        sources: list[NameScalars | TableScalars] = []
        if name_pattern is not None:
            sources.append(NameScalars(name_pattern))
        if table is not None:
            sources.append(TableScalars(root / table))
        given = {name for source in sources for name in source.columns}
        fields = tuple(name for name in asked if name not in given)
        self.asked = asked
        self.scalars: dict[str, dict[str, float]] = {}
        found = [self._with_scalars(case, sources) for case in found]
        recipe = CaseRecipe(
            on=on,
            edges=edges,
            weights=weights,
            allow=_names(allow),
            name_pattern=name_pattern,
            table=None if table is None else str(table),
        )
        self.store = MeshCache(kept, root, recipe, fields, max_bytes=max_bytes)
        found, channels = self._make(found, workers)
        channels |= {name: 1 for name in asked if name in given}
        windows: dict[str, TimeWindow] = {}
        if window is not None:
            found, windows = _with_windows(root, found, window, mode)
        found = _usable(root, found, skip_bad)

        self.items: list[tuple[MeshCase, int]] = []
        case_names: list[str] = []
        self.window: tuple[int, int] | None = None
        units = units or {}
        if window is None:
            self.FIELDS = {name: channels[name] for name in asked}
            self.UNITS = dict(units)
            self.items = [(case, 0) for case in found]
            case_names = [case.name for case in found]
        else:
            for case in found:
                fitting = windows[case.name]
                self.window = fitting.num_in, fitting.num_out
                self.items += [(case, start) for start in fitting.starts]
                case_names += fitting.names(case.name)
            assert self.window is not None
            steps = dict(zip(("in", "out"), self.window, strict=True))
            self.FIELDS = {f"{n}_{s}": channels[n] * steps[s] for s in steps for n in asked}
            self.UNITS = {f"{n}_{s}": unit for s in steps for n, unit in units.items()}
            inputs = [f"{name}_in" for name in inputs]
            targets = [f"{name}_out" for name in targets]
        super().__init__(root, case_names, inputs=inputs, targets=targets, transform=transform)

    def recipe(self) -> CaseRecipe:
        """How a mesh file of the folder becomes a case, and which fields it has."""
        return replace(
            self.store.recipe,
            dataset="MeshFolder",
            inputs=self.input_channels,
            targets=self.target_channels,
            units=dict(self.UNITS),
            window=self.window,
        )

    def read(self, index: int) -> MeshData:
        case, start = self.items[index]
        if self.window is None:
            return self._step(case, 0)
        return self._window(case, start, *self.window)

    def _step(self, case: MeshCase, number: int) -> MeshData:
        data = self.store.read(case.steps[number])
        for name, value in self.scalars[case.name].items():
            data[name] = torch.tensor([[value]])
        return data

    def _window(self, case: MeshCase, start: int, num_in: int, num_out: int) -> MeshData:
        steps = [self._step(case, start + i) for i in range(num_in + num_out)]
        nodes = [len(step.pos) for step in steps]
        if len(set(nodes)) > 1:
            raise ValueError(
                f"{case.steps[start].file}: the mesh changes within the series, from {nodes[0]} to "
                f"{next(n for n in nodes if n != nodes[0])} nodes; a window needs one mesh"
            )
        data = steps[num_in - 1]
        # All before any is set: a field may be called 'T_in' beside 'T'.
        values = {name: [step[name] for step in steps] for name in self.asked}
        for name, series in values.items():
            data[f"{name}_in"] = torch.cat(series[:num_in], dim=1)
            data[f"{name}_out"] = torch.cat(series[num_in:], dim=1)
        time = case.steps[start + num_in - 1].time
        data.time = torch.tensor([time], dtype=torch.float64)
        return data

    @staticmethod
    def _find(
        root: Path,
        split: str | None,
        series: bool,
        pattern: str,
        fractions: Mapping[str, float] | None,
        seed: int,
        cache: Path,
    ) -> list[MeshCase]:
        options: dict[str, Any] = {"series": series, "pattern": pattern, "leave_out": [cache]}
        if split is None and fractions is not None:
            raise ValueError(f"{root}: split=None takes everything; leave out fractions")
        if split is not None and (root / split).is_dir():
            if fractions is not None:
                raise ValueError(f"{root}: has a folder '{split}'; leave out fractions")
            cases = find_mesh_cases(root / split, **options)
            return [case._replace(name=f"{split}/{case.name}") for case in cases]
        others = [name for name in fractions or FRACTIONS if (root / name).is_dir()]
        if split is not None and others:
            raise FileNotFoundError(f"{root}: has a folder '{others[0]}' but none '{split}'")
        cases = find_mesh_cases(root, **options)
        if split is None:
            return cases
        names = [*dict.fromkeys(case.name for case in cases)]
        chosen = set(split_names(names, split, fractions, seed=seed))
        cases = [case for case in cases if case.name in chosen]
        if not cases:
            raise ValueError(f"{root}: no case falls into the split '{split}'; change fractions")
        return cases

    def _with_scalars(
        self, case: MeshCase, sources: Iterable[NameScalars | TableScalars]
    ) -> MeshCase:
        """Keeps the numbers of a case that are asked for."""
        if case.error is not None:
            return case
        scalars: dict[str, float] = {}
        try:
            for source in sources:
                wanted = [name for name in source.columns if name in self.asked]
                scalars |= source.of(case.name, wanted)
        except ValueError as error:
            return case._replace(error=str(error))
        self.scalars[case.name] = scalars
        return case

    def _make(self, cases: list[MeshCase], workers: int) -> tuple[list[MeshCase], dict[str, int]]:
        """Sees to it that all meshes are kept.

        Returns:
            The cases, those that cannot be used with their errors, and the channels of the fields.
        """
        steps = [step for case in cases if case.error is None for step in case.steps]
        entries = self.store.update(steps, lambda stale: _make_all(self.store, stale, workers))
        for number, case in enumerate(cases):
            if case.error is None:
                errors = [entries[step]["error"] for step in case.steps if "error" in entries[step]]
                if errors:
                    cases[number] = case._replace(error=errors[0])
        counts = Counter(
            tuple(entries[case.steps[0]]["channels"].items())
            for case in cases
            if case.error is None
        )
        channels: dict[str, int] = {}
        for name in self.store.fields:
            votes: Counter[int] = Counter()
            for pairs, count in counts.items():
                votes[dict(pairs)[name]] += count
            channels[name] = votes.most_common(1)[0][0] if votes else 0
        for number, case in enumerate(cases):
            if case.error is None:
                error = _other_channels(case, entries, channels)
                if error is not None:
                    cases[number] = case._replace(error=error)
        return cases, channels


def _names(names: str | Sequence[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)


def _check_names(asked: Sequence[str], units: Mapping[str, str]) -> None:
    for name in asked:
        if name in _RESERVED or f"{name}_".startswith(CELL_PREFIX):
            raise ValueError(
                f"MeshFolder: the name '{name}' is reserved, and cannot be an input or target; "
                f"rename that field or column"
            )
    unknown = [name for name in units if name not in asked]
    if unknown:
        raise ValueError(
            f"MeshFolder: units of {unknown}, which are not among the inputs and targets "
            f"{[*asked]}; name them alike"
        )


def _other_channels(
    case: MeshCase, entries: Mapping[MeshStep, Mapping[str, Any]], channels: Mapping[str, int]
) -> str | None:
    for step in case.steps:
        found = entries[step]["channels"]
        if found != channels:
            name = next(name for name in channels if found[name] != channels[name])
            return (
                f"{step.file}: expected '{name}' with {channels[name]} channels, as in most cases "
                f"(got {found[name]})"
            )
    return None


def _with_windows(
    root: Path, cases: list[MeshCase], window: tuple[int, int | None], mode: str
) -> tuple[list[MeshCase], dict[str, TimeWindow]]:
    """The windows of each series, all of the same steps in and out."""
    windows: dict[str, TimeWindow] = {}
    cases = [*cases]
    for number, case in enumerate(cases):
        if case.error is None:
            try:
                place = f"{root}, '{case.name}'"
                windows[case.name] = TimeWindow.from_trajectory(
                    len(case.steps), window, mode, place
                )
            except ValueError as error:
                cases[number] = case._replace(error=str(error))
    lengths = Counter(fitting.num_out for fitting in windows.values())
    expected = lengths.most_common(1)[0][0] if lengths else 0
    for number, case in enumerate(cases):
        if case.error is None and windows[case.name].num_out != expected:
            steps = windows[case.name].num_out
            cases[number] = case._replace(
                error=f"{root}, '{case.name}': expected {expected} steps out, as in most series "
                f"(got {steps})"
            )
    return cases, windows


def _usable(root: Path, cases: list[MeshCase], skip_bad: bool) -> list[MeshCase]:
    for case in cases:
        if case.error is not None:
            if not skip_bad:
                raise ValueError(f"{case.error}; mend or remove the file, or pass skip_bad=True")
            _log.warning("case '%s' is left out: %s", case.name, case.error)
    good = [case for case in cases if case.error is None]
    if not good:
        raise ValueError(f"{root}: none of its {len(cases)} cases can be used")
    return good


class _Stale(Dataset):
    """Makes a mesh at each access, for torch's loader to do so in its workers."""

    def __init__(self, store: MeshCache, steps: Sequence[MeshStep]) -> None:
        self.store = store
        self.steps = steps

    def __len__(self) -> int:
        return len(self.steps)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.store.make(self.steps[index])


def _make_all(
    store: MeshCache, steps: Sequence[MeshStep], workers: int
) -> Sequence[dict[str, Any]]:
    loader = DataLoader(
        _Stale(store, steps), batch_size=None, num_workers=workers, collate_fn=_as_it_is
    )
    quiet = not sys.stderr.isatty()
    console = Console(stderr=True)
    return list(track(loader, "reading meshes", total=len(steps), console=console, disable=quiet))


def _as_it_is(entry: Any) -> Any:
    return entry
