"""A user's own results: any folder of mesh files as a data set."""

import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import track
from torch.utils.data import DataLoader, Dataset

from flare_mesh.data import MeshData
from flare_mesh.data.arrays import MAX_BYTES
from flare_mesh.datasets.case_scalars import scalars_of_names, scalars_of_table
from flare_mesh.datasets.field_dataset import FieldDataset
from flare_mesh.datasets.mesh_cache import MeshCache, Recipe
from flare_mesh.datasets.mesh_cases import MeshCase, MeshStep, find_cases
from flare_mesh.datasets.splits import FRACTIONS, split_names
from flare_mesh.datasets.time_window import TimeWindow

_log = logging.getLogger(__name__)


class MeshFolder(FieldDataset):
    """A folder of mesh files of any readable format, size and mix of cell types.

    A field is looked for by its name among the node fields, cell fields and field data of a file,
    and becomes float32 [N, C]; a name that the file names or the table know is taken from there,
    as one number for the whole case. Each file is read, checked and reduced to what is asked for
    when it is first met, and kept as npz in ``cache``; it is read again only when it changes.

    With ``window=(n_in, n_out)`` a case is ``n_in`` consecutive steps of a time series as ``x``
    [N, n_in C] and the ``n_out`` that follow as ``y`` [N, n_out C], step by step (channel
    t C + c); see :func:`~flare_mesh.datasets.mesh_cases.find_cases` for what makes a series.

    Args:
        root: The folder. If it has a sub-folder of the name ``split``, that is searched;
            otherwise ``fractions`` divides all files, or all series, by their names.
        split: Name of the split; None for everything.
        inputs: Fields of ``x``, by name.
        targets: Fields of ``y``, by name.
        fractions: Share of each split; 0.8 ``train`` and 0.2 ``test`` by default.
        seed: Of the division.
        on: ``"nodes"``: cell fields are averaged to the nodes; or ``"cells"``: points are the
            centres of the cells, and node fields are averaged to them.
        name_pattern: Regular expression with named groups that are numbers of the case.
        table: CSV file, below ``root`` unless absolute, whose first column names the cases.
        window: Steps in and out of a time series.
        mode: ``"windows"`` for a case at each step, ``"rollout"`` for the first of each series.
        units: Unit of each field, for plots and files.
        edges: Adds ``edge_index`` from the cells.
        weights: Adds ``weight`` [N], the lumped mass.
        allow: Faults of meshes to let pass, see :func:`~flare_mesh.data.mesh_checks.check_mesh`.
        skip_bad: Logs and leaves out files that cannot be used.
        cache: Folder of what is kept; ``processed`` below ``root`` by default.
        workers: Processes that read new files.
        transform: Applied to each case on access, as in PyG.
        max_bytes: Limit of what a file may declare.

    Raises:
        FileNotFoundError: If there is nothing to read.
        ValueError: If a file cannot be used, lacks a field, or has other channels than the others.
    """

    def __init__(
        self,
        root: str | Path,
        split: str | None = "train",
        *,
        inputs: Sequence[str] = (),
        targets: Sequence[str],
        fractions: Mapping[str, float] | None = None,
        seed: int = 0,
        on: str = "nodes",
        name_pattern: str | None = None,
        table: str | Path | None = None,
        window: tuple[int, int] | None = None,
        mode: str = "windows",
        units: Mapping[str, str] | None = None,
        edges: bool = False,
        weights: bool = False,
        allow: Sequence[str] = ("duplicate_nodes", "unused_nodes"),
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
        root = Path(root)
        kept = Path(cache) if cache is not None else root / "processed"
        found = self._find(root, split, window is not None, fractions, seed, kept)
        names = [case.name for case in found]
        self.scalars: dict[str, dict[str, float]] = {name: {} for name in names}
        known = [scalars_of_names(names, name_pattern)] if name_pattern else []
        if table is not None:
            known.append(scalars_of_table(names, root / table))
        for scalars in known:
            for name, values in scalars.items():
                self.scalars[name] |= values
        asked = dict.fromkeys([*inputs, *targets])
        fields = tuple(name for name in asked if name not in self.scalars[names[0]])
        recipe = Recipe(fields, on, edges, weights, tuple(allow), max_bytes)
        self.store = MeshCache(kept, root, recipe)
        found, channels = self._make(found, workers, skip_bad)
        channels |= {name: 1 for name in asked if name not in fields}

        self.window = window
        self.items: list[tuple[MeshCase, int]] = []
        case_names = []
        if window is None:
            self.FIELDS = channels
            self.items = [(case, 0) for case in found]
            case_names = [case.name for case in found]
        else:
            self.FIELDS = {f"{name}_in": n * window[0] for name, n in channels.items()}
            self.FIELDS |= {f"{name}_out": n * window[1] for name, n in channels.items()}
            inputs = [f"{name}_in" for name in inputs]
            targets = [f"{name}_out" for name in targets]
            for case in found:
                place = f"{root}, '{case.name}'"
                windows = TimeWindow.of(len(case.steps), window, mode, place)
                self.items += [(case, start) for start in windows.starts]
                case_names += windows.names(case.name)
        self.UNITS = {
            field: unit
            for name, unit in (units or {}).items()
            for field in (name, f"{name}_in", f"{name}_out")
            if field in self.FIELDS
        }
        super().__init__(root, case_names, inputs=inputs, targets=targets, transform=transform)

    def read(self, index: int) -> MeshData:
        case, start = self.items[index]
        if self.window is None:
            data = self._step(case, 0)
        else:
            data = self._window(case, start, *self.window)
        if self.UNITS:
            data.units = self.UNITS
        return data

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
        for name in {field.rsplit("_", 1)[0] for field in self.FIELDS}:
            values = [step[name] for step in steps]
            data[f"{name}_in"] = torch.cat(values[:num_in], dim=1)
            data[f"{name}_out"] = torch.cat(values[num_in:], dim=1)
        data.time = torch.tensor([case.steps[start + num_in - 1].time])
        return data

    @staticmethod
    def _find(
        root: Path,
        split: str | None,
        series: bool,
        fractions: Mapping[str, float] | None,
        seed: int,
        cache: Path,
    ) -> list[MeshCase]:
        if split is not None and (root / split).is_dir():
            if fractions is not None:
                raise ValueError(f"{root}: has a folder '{split}'; leave out fractions")
            cases = find_cases(root / split, series=series, leave_out=[cache])
            return [MeshCase(f"{split}/{case.name}", case.steps) for case in cases]
        others = [name for name in fractions or FRACTIONS if (root / name).is_dir()]
        if split is not None and others:
            raise FileNotFoundError(f"{root}: has a folder '{others[0]}' but none '{split}'")
        cases = find_cases(root, series=series, leave_out=[cache])
        if split is None:
            return cases
        chosen = set(split_names([case.name for case in cases], split, fractions, seed=seed))
        cases = [case for case in cases if case.name in chosen]
        if not cases:
            raise ValueError(f"{root}: no case falls into the split '{split}'; change fractions")
        return cases

    def _make(
        self, cases: list[MeshCase], workers: int, skip_bad: bool
    ) -> tuple[list[MeshCase], dict[str, int]]:
        """Sees to it that all meshes are kept.

        Returns:
            The cases that can be used, and the channels of their fields.
        """
        steps = [step for case in cases for step in case.steps]
        entries = self.store.update(steps, lambda stale: _make_all(self.store, stale, workers))
        good: list[MeshCase] = []
        channels: dict[str, int] = {}
        for case in cases:
            error = self._fault(case, entries, channels)
            if error is None:
                channels = channels or entries[self.store.key(case.steps[0])]["channels"]
                good.append(case)
            elif not skip_bad:
                raise ValueError(f"{error}; mend or remove the file, or pass skip_bad=True")
            else:
                _log.warning("case '%s' is left out: %s", case.name, error)
        if not good:
            raise ValueError(f"{self.store.root}: none of its {len(cases)} cases can be used")
        return good, dict(channels)

    def _fault(
        self, case: MeshCase, entries: Mapping[str, Any], channels: Mapping[str, int]
    ) -> str | None:
        """What is wrong with a case, if anything."""
        for step in case.steps:
            entry = entries[self.store.key(step)]
            if "error" in entry:
                return entry["error"]
            for name, expected in channels.items():
                if entry["channels"][name] != expected:
                    return (
                        f"{step.file}: expected '{name}' with {expected} channels, as in the cases "
                        f"before (got {entry['channels'][name]})"
                    )
        return None


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


def _as_it_is(entry: dict[str, Any]) -> dict[str, Any]:
    return entry
