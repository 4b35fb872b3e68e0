"""Generation of data sets of simulated parts."""

import errno
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from flare_mesh.files import check_folder, write_text
from flare_mesh.workers import WorkerLostError, run_tasks
from lpbf.dataset.case_file import file_digest
from lpbf.dataset.cases import Case, list_cases
from lpbf.dataset.catalog import Catalog
from lpbf.dataset.cluster import open_cluster, run_on_cluster
from lpbf.dataset.outcome import Outcome, Rejection
from lpbf.dataset.run_case import run_case
from lpbf.dataset.settings import Settings, read_settings


def generate(
    out: str | Path,
    num_parts: int,
    *,
    settings: Settings | None = None,
    parts: str | Path | None = None,
    workers: int = 1,
    scheduler: str | None = None,
    resume: bool = False,
) -> int:
    """Generate a data set in the layout of LPBF_FLARE; return its number of cases.

    Files: ``{train,test}/<case>.npz``; ``index.json`` (case, file, its SHA-256, sizes, metadata);
    ``settings.json``; ``rejected.jsonl`` with one rejection per line; ``timing.json`` with the
    seconds of each case. The index is also written if the run is interrupted or fails. A part file
    that cannot be read or simulated is rejected, and the other cases go on. Except for the seconds,
    the content depends only on the settings and parts, not on the workers or on interruptions.

    Args:
        out: Folder of the data set.
        num_parts: Number of procedural parts.
        settings: Settings of the content; None for the defaults.
        parts: A folder of part files to add.
        workers: Number of processes on this machine.
        scheduler: Address of a Dask scheduler; the workers of its cluster run the cases instead.
            They need the same version and must see ``out`` and ``parts`` under the same paths.
        resume: Continue a data set that was begun with the same settings. Finished cases are not
            run again unless their file is damaged or their part file has changed.

    Raises:
        ConnectionError: If the scheduler does not answer or is lost.
        FileNotFoundError: If ``parts`` is not a folder.
        ImportError: If a scheduler is given and Dask is not installed.
        OSError: If the disk is full.
        ValueError: If the settings do not fit, ``out`` is in use without ``resume``, a worker of
            the cluster does not fit, or no part was accepted.
        WorkerLostError: At the end, if cases ended their worker at each try; they are listed in
            ``rejected.jsonl`` and tried again with ``resume``.
    """
    settings = settings or Settings()
    out = Path(out)
    if workers < 1:
        raise ValueError(f"expected --workers >= 1 (got {workers})")
    if num_parts:
        settings.check_pitch()
    cases = list_cases(num_parts, settings, Path(parts) if parts is not None else None)
    with ExitStack() as stack:
        client = None if scheduler is None else stack.enter_context(open_cluster(scheduler))
        _open_folder(out, settings, resume)
        catalog = Catalog(out)
        with ThreadPoolExecutor(workers) as pool:  # checksums release the interpreter lock
            done = list(pool.map(lambda case: _is_done(case, catalog, out), cases))
        todo = [case for case, is_done in zip(cases, done, strict=True) if not is_done]
        for case in todo:  # new, damaged, or from a part file that has changed
            catalog.outcomes.pop(case.name, None)
            (out / case.file).unlink(missing_ok=True)
        names = [case.name for case in cases]
        try:
            # An interrupted or failed run has an index of what is done.
            with catalog.finished(names), catalog:
                try:
                    for outcome in _run_all(todo, settings, out, workers, client):
                        catalog.add(outcome)
                except WorkerLostError as error:
                    for (case, *_), reason in zip(error.tasks, error.reasons, strict=True):
                        catalog.add(Outcome(case.name, [Rejection.by_crash(reason)]))
                    raise
                finally:
                    _remove_partial_files(out)  # of workers that were lost while they wrote
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise OSError(
                    f"{out}: the disk is full; free some space and continue with --resume"
                ) from error
            raise
    outcomes = catalog.outcomes.values()
    count = sum(outcome.entry is not None for outcome in outcomes)
    if not count:
        reason = next(outcome.rejected[0].reason for outcome in outcomes)
        raise ValueError(f"{out}: every part was rejected, the first because: {reason}")
    return count


def _is_done(case: Case, catalog: Catalog, out: Path) -> bool:
    outcome = catalog.outcomes.get(case.name)
    if outcome is None:
        return False
    if outcome.entry is None:
        # A part file may have been corrected; a procedural part cannot change.
        return isinstance(case.part, int) and not any(r.is_crash for r in outcome.rejected)
    path, entry = out / case.file, outcome.entry
    if entry["file"] != case.file or not path.is_file() or file_digest(path) != entry["sha256"]:
        return False
    if isinstance(case.part, int):
        return entry["metadata"]["attempt"] == len(outcome.rejected)
    return entry["metadata"]["source_sha256"] == file_digest(case.part)


def _open_folder(out: Path, settings: Settings, resume: bool) -> None:
    check_folder(out / "settings.json")
    wanted = settings.to_dict()
    if (out / "settings.json").is_file():
        if not resume:
            raise ValueError(f"{out}: holds a data set; add --resume or choose another --out")
        before, now = _flat(_completed(read_settings(out))), _flat(wanted)
        changes = ", ".join(
            f"{key} = {before.get(key)}, now {now.get(key)}"
            for key in sorted(now.keys() | before.keys())
            if before.get(key) != now.get(key)
        )
        if changes:
            raise ValueError(
                f"{out}: was begun with other settings ({changes}); use the same ones or choose "
                f"another --out"
            )
        _remove_partial_files(out)
        return
    if out.exists() and (not out.is_dir() or any(".partial" not in p.name for p in out.iterdir())):
        raise ValueError(f"{out}: exists and is not an empty folder; choose another --out")
    write_text(out / "settings.json", json.dumps(wanted, indent=1))


def _completed(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings of a data set, where an older one lacks some, with what they were in effect.

    There the pitch may be one edge, a layer without height is one row of voxels, the strain is
    inherent, and faces were not aligned nor volumes limited.
    """
    settings = {"aligned": False, "max_volume_error": math.inf} | settings
    if isinstance(settings.get("pitch"), int | float):
        settings["pitch"] = [settings["pitch"]] * 3
    process, pitch = settings.get("process"), settings.get("pitch")
    if isinstance(process, dict):
        process = {"strain": "inherent"} | process
        if process.get("layer_height") is None and isinstance(pitch, list) and pitch:
            process["layer_height"] = pitch[-1]
        settings["process"] = process
    return settings


def _remove_partial_files(out: Path) -> None:
    for partial in (*out.glob("t*/.*.partial.npz"), *out.glob(".*.partial.json*")):
        partial.unlink(missing_ok=True)


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten nested settings, with names such as ``process.inherent_strain``."""
    flat = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def _run_all(
    cases: Sequence[Case], settings: Settings, out: Path, workers: int, client: Any
) -> Iterator[Outcome]:
    """Yield the outcome of each case as it finishes, under a progress bar."""
    if client is None:
        outcomes = run_tasks(run_case, ((case, settings, out) for case in cases), workers)
    else:
        out = out.resolve()
        tasks = {case.name: (case, settings, out) for case in cases}
        outcomes = run_on_cluster(run_case, tasks, client, shared=out / "settings.json")
    columns = TextColumn("simulating"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    counter = TextColumn("{task.fields[rejected]} rejected")
    rejected = 0
    with Progress(*columns, counter, console=Console(stderr=True)) as progress:
        bar = progress.add_task("", total=len(cases), rejected=rejected)
        for outcome in outcomes:
            rejected += len(outcome.rejected)
            progress.update(bar, advance=1, rejected=rejected)
            for warning in outcome.warnings:
                progress.console.print(f"warning: {warning}", markup=False, soft_wrap=True)
            yield outcome
