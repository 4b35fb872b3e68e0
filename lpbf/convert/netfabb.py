"""Data set from Netfabb results."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flare_mesh.choices import check_choice
from flare_mesh.files import check_readable
from flare_mesh.workers import WorkerLostError, run_tasks
from lpbf.convert.converted_set import open_folder, write_index
from lpbf.convert.filters import Filters
from lpbf.convert.read_netfabb import PLATE, read_netfabb
from lpbf.dataset.cases import split_of

# Text in the log of a solver that gave up.
_TERMINATED = b"Analysis terminated"


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
    """Convert Netfabb results to a data set for ``flare_mesh.datasets.LPBF``.

    Each file ``*.case`` below ``root`` is a case, except for thermal analyses. Its name is that of
    its folder, or of the parent of its folder ``results``. A case that is damaged, was given up by
    the solver, or exceeds a limit is rejected with a reason in ``rejected.jsonl``.

    Args:
        root: Folder with the results.
        out: Folder of the data set, new or empty.
        filters: Limits; None for the ones of the published set.
        test_fraction: Fraction of the cases in ``test/``, by their names.
        step, plate, part, fields: See :func:`~lpbf.convert.read_netfabb.read_netfabb`.
        workers: Number of processes.

    Returns:
        Number of accepted cases, and the reasons of the rejected ones by name.

    Raises:
        FileNotFoundError: If ``root`` is not a folder or has no case.
        ValueError: If an option does not fit, ``out`` is in use, or every case was rejected.
    """
    root, out = Path(root), Path(out)
    if not 0 <= test_fraction < 1:
        raise ValueError(f"expected 0 <= test_fraction < 1 (got {test_fraction})")
    if workers < 1:
        raise ValueError(f"expected workers >= 1 (got {workers})")
    check_choice("unknown plate", plate, PLATE)
    cases = _find(root)
    open_folder(out)
    filters = filters or Filters()
    options = {"step": step, "plate": plate, "part": part, "fields": fields}
    tasks = [
        (name, path, out / split_of(name, test_fraction) / f"{name}.npz", filters, options)
        for name, path in cases.items()
    ]
    results: dict[str, dict[str, Any] | str] = {}
    try:
        for name, result in run_tasks(_convert, tasks, workers):
            results[name] = result
    except WorkerLostError as error:  # a damaged file can crash VTK's reader
        results |= {task[0]: f"{task[1]}: the reader crashed" for task in error.tasks}
    return write_index(out, results)


def _find(root: Path) -> dict[str, Path]:
    if not root.is_dir():
        raise FileNotFoundError(f"{root}: no such folder; give a folder of Netfabb results")
    check_readable(root)
    paths = (path for path in sorted(root.rglob("*.case")) if not path.stem.endswith("thermal"))
    named = [(_name(root, path), path) for path in paths]
    if not named:
        raise FileNotFoundError(f"{root}: no results (*.case) in it; unpack archives first")
    repeated = sorted(n for n, count in Counter(name for name, _ in named).items() if count > 1)
    if repeated:
        raise ValueError(f"{root}: several results give the case names {repeated}; separate them")
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


def _convert(
    name: str, path: Path, target: Path, filters: Filters, options: Mapping[str, Any]
) -> tuple[str, Any]:
    """Convert a case; return its name, and its entry in the index or the reason to reject it."""
    try:
        for log in _folder(path).glob("*mechanical.out"):
            if _TERMINATED in log.read_bytes():
                return name, f"{log}: the analysis was terminated"
        case = read_netfabb(path, **options)
    except (ValueError, FileNotFoundError) as error:
        return name, str(error)
    return name, filters.reason(case) or case.write(target, name)
