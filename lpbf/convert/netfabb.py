"""Netfabb results into a data set."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flare_mesh.workers import WorkerLostError, run_tasks
from lpbf.convert.converted_set import open_folder, split_of, write_index
from lpbf.convert.filters import Filters
from lpbf.convert.read_netfabb import read_netfabb

# What the solver's log says where it gave up.
_TERMINATED = b"Analysis terminated"


@dataclass(frozen=True)
class Conversion:
    """How cases are converted, see :func:`convert_netfabb`."""

    filters: Filters
    step: int
    plate: str
    part: str | None
    fields: Mapping[str, str] | None


def convert_netfabb(
    root: str | Path,
    out: str | Path,
    *,
    filters: Filters | None = None,
    test_fraction: float = 0.2,
    step: int = -1,
    plate: str = "keep",
    part: str | None = None,
    fields: Mapping[str, str] | None = None,
    workers: int = 1,
) -> tuple[int, dict[str, str]]:
    """Makes a data set of Netfabb results, readable by ``flare_mesh.datasets.LPBF``.

    Each ``*.case`` file below ``root`` is a case, except for those of thermal analyses; it is named
    after the folder that it, or the ``results`` it lies in, lies in. Cases that are damaged, given
    up by the solver, or outside the filters are left out with a reason in ``rejected.jsonl``.

    Args:
        root: Folder with the results.
        out: Folder of the data set, new or empty.
        filters: What is kept; None for the limits of the published set.
        test_fraction: Share of the cases that go to ``test/``, by their names.
        step: As for :func:`~lpbf.convert.read_netfabb.read_netfabb`, like the next three.
        plate: ``"keep"`` or ``"drop"``.
        part: Name of the part to take.
        fields: Names of the fields.
        workers: Processes.

    Returns:
        Number of cases kept, and why each of the others was not.

    Raises:
        FileNotFoundError: If ``root`` is no folder or has no case.
        ValueError: If an option does not fit, ``out`` is in use, or no case was kept.
    """
    root, out = Path(root), Path(out)
    if not 0 <= test_fraction < 1:
        raise ValueError(f"expected 0 <= test fraction < 1 (got {test_fraction})")
    if workers < 1:
        raise ValueError(f"expected workers >= 1 (got {workers})")
    if plate not in ("keep", "drop"):
        raise ValueError(f"unknown plate='{plate}'; choose 'keep' or 'drop'")
    cases = _find(root)
    open_folder(out)
    how = Conversion(filters or Filters(), step, plate, part, fields)
    tasks = [
        (name, path, out / split_of(name, test_fraction) / f"{name}.npz", how)
        for name, path in cases.items()
    ]
    entries: list[dict[str, Any]] = []
    rejected: dict[str, str] = {}
    try:
        for name, result in run_tasks(_convert, tasks, workers):
            if isinstance(result, str):
                rejected[name] = result
            else:
                entries.append(result)
    except WorkerLostError as error:
        # A damaged file can take VTK's reader down, and its process with it.
        rejected |= {task[0]: f"{task[1]}: the reader crashed" for task in error.tasks}
    write_index(out, entries, rejected)
    return len(entries), rejected


def _find(root: Path) -> dict[str, Path]:
    if not root.is_dir():
        raise FileNotFoundError(f"{root}: no such folder; give one with Netfabb results")
    named = [
        (_name(root, path), path)
        for path in sorted(root.rglob("*.case"))
        if not path.stem.endswith("thermal")
    ]
    if not named:
        raise FileNotFoundError(f"{root}: no results (*.case) there; unpack archives first")
    doubled = sorted(n for n, count in Counter(name for name, _ in named).items() if count > 1)
    if doubled:
        raise ValueError(f"{root}: several results give the case names {doubled}; separate them")
    return dict(named)


def _folder(path: Path) -> Path:
    return path.parent.parent if path.parent.name == "results" else path.parent


def _name(root: Path, path: Path) -> str:
    folder = _folder(path.resolve())
    inside = folder.is_relative_to(root.resolve())
    words = list(folder.relative_to(root.resolve()).parts) if inside else []
    own = path.stem.removesuffix("mechanical").strip("_")
    if own and own not in words[-1:]:
        words.append(own)
    return "_".join(words) or folder.name


def _convert(name: str, path: Path, target: Path, how: Conversion) -> tuple[str, Any]:
    """The entry of the index, or why there is none."""
    try:
        for log in _folder(path).glob("*mechanical.out"):
            if _TERMINATED in log.read_bytes():
                return name, f"{log}: the analysis was terminated"
        case = read_netfabb(path, step=how.step, plate=how.plate, part=how.part, fields=how.fields)
    except (ValueError, FileNotFoundError) as error:
        return name, str(error)
    reason = how.filters.reason(case)
    if reason is not None:
        return name, reason
    return name, case.write(target, name)
