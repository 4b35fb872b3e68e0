"""Turns CAD parts into a data set: ``python -m lpbf.generate``."""

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from flare_mesh.files import atomic_path, check_folder, is_whole
from flare_mesh.workers import run_tasks
from lpbf.dataset.case_file import read_metadata
from lpbf.dataset.cases import Case, list_cases
from lpbf.dataset.run_case import Outcome, file_digest, run_case
from lpbf.dataset.settings import Settings, read_settings
from lpbf.part import PART_SUFFIXES


def generate(
    out: str | Path,
    num_parts: int,
    *,
    settings: Settings | None = None,
    parts: str | Path | None = None,
    workers: int = 1,
    resume: bool = False,
) -> int:
    """Makes a data set in the layout of LPBF_FLARE; returns the number of cases in it.

    Files: ``{train,test}/<case>.npz``, ``index.json`` (case, file, sizes, metadata),
    ``settings.json``, and ``rejected.jsonl`` with a reason a line. The content depends on the
    settings and parts alone, not on the workers or on interruptions.

    Args:
        out: Folder of the data set.
        num_parts: Number of procedural parts.
        settings: What decides the content; None for the defaults.
        parts: A folder of part files to add.
        workers: Processes.
        resume: Go on with a data set that was begun with the same settings. Finished cases stay,
            except for damaged ones and part files that have changed.

    Raises:
        FileNotFoundError: If ``parts`` is not a folder.
        ValueError: If the settings do not fit, ``out`` is in use and not to be resumed, or no part
            was accepted.
    """
    settings = settings or Settings()
    out = Path(out)
    if workers < 1:
        raise ValueError(f"expected --workers >= 1 (got {workers})")
    if num_parts:
        settings.check_pitch()
    cases = list_cases(num_parts, settings, Path(parts) if parts is not None else None)
    _open_folder(out, settings, resume)

    log = out / "rejected.jsonl"
    given_up = _read_given_up(log)
    todo = [case for case in cases if not _is_done(case, out, given_up)]
    for case in todo:  # damaged, or of a part file that is no more what it was
        (out / case.file).unlink(missing_ok=True)
    with log.open("a") as file:
        for outcome in _run_all(todo, settings, out, workers):
            if not outcome.accepted:
                given_up[outcome.case] = outcome.rejected
                file.writelines(_log_lines(outcome.case, outcome.rejected, given_up=True))
                file.flush()

    lines, entries = [], []
    for case in cases:
        if not (out / case.file).is_file():
            lines += _log_lines(case.name, given_up[case.name], given_up=True)
            continue
        metadata = read_metadata(out / case.file)
        lines += _log_lines(case.name, metadata["rejected"], given_up=False)
        sizes = {key: metadata[key] for key in ("num_nodes", "num_edges")}
        entries.append({"case_id": case.name, "file": case.file, **sizes, "metadata": metadata})
    with atomic_path(log) as temporary:
        temporary.write_text("".join(lines))
    with atomic_path(out / "index.json") as temporary:
        temporary.write_text(json.dumps(entries, indent=1))
    if not entries:
        raise ValueError(
            f"{out}: every part was rejected, the first because: {json.loads(lines[0])['reason']}"
        )
    return len(entries)


def _is_done(case: Case, out: Path, given_up: dict[str, list[str]]) -> bool:
    if not is_whole(out / case.file):
        # A part file may have been mended since; a procedural part is what it was.
        return isinstance(case.part, int) and case.name in given_up
    if isinstance(case.part, int):
        return True
    return read_metadata(out / case.file).get("source_sha256") == file_digest(case.part)


def _log_lines(case: str, reasons: Sequence[str], *, given_up: bool) -> list[str]:
    """A line of JSON for each rejected part of a case."""
    return [
        json.dumps({"case": case, "attempt": i, "reason": reason, "given_up": given_up}) + "\n"
        for i, reason in enumerate(reasons)
    ]


def _read_given_up(log: Path) -> dict[str, list[str]]:
    """The reasons of the cases that an earlier run gave up."""
    reasons: dict[str, list[str]] = {}
    for line in log.read_text().splitlines() if log.is_file() else []:
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            continue  # the line during which the run was killed; its case is done anew
        if entry["given_up"]:
            reasons.setdefault(entry["case"], []).append(entry["reason"])
    return reasons


def _open_folder(out: Path, settings: Settings, resume: bool) -> None:
    check_folder(out / "settings.json")
    record = out / "settings.json"
    wanted = json.loads(json.dumps(asdict(settings)))
    if record.is_file():
        if not resume:
            raise ValueError(
                f"{out}: already holds a data set; add --resume, or choose another --out"
            )
        found = read_settings(out)
        differing = [key for key in wanted if found.get(key) != wanted[key]]
        if differing:
            raise ValueError(
                f"{out}: was begun with other settings ("
                + ", ".join(f"{k} = {found.get(k)}, now {wanted[k]}" for k in differing)
                + "); use the same ones or choose another --out"
            )
        for partial in out.glob("t*/.*.partial.npz"):
            partial.unlink()
        return
    if out.exists() and (not out.is_dir() or any(".partial" not in p.name for p in out.iterdir())):
        raise ValueError(f"{out}: exists and is not an empty folder; choose another --out")
    with atomic_path(record) as temporary:
        temporary.write_text(json.dumps(wanted, indent=1))


def _run_all(
    cases: Sequence[Case], settings: Settings, out: Path, workers: int
) -> Iterator[Outcome]:
    """Yields each case's outcome as it finishes, under a progress bar."""
    columns = (
        TextColumn("simulating"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[rejected]} rejected"),
    )
    tasks = [(case, settings, out) for case in cases]
    rejected = 0
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bar = progress.add_task("", total=len(cases), rejected=rejected)
        for outcome in run_tasks(run_case, tasks, workers):
            rejected += len(outcome.rejected)
            progress.update(bar, advance=1, rejected=rejected)
            for warning in outcome.warnings:
                progress.console.print(f"warning: {warning}", markup=False, soft_wrap=True)
            yield outcome


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns the exit code: 0, 1 (a worker died), 2 (bad input), 130 (Ctrl-C)."""
    defaults = Settings()
    parser = argparse.ArgumentParser(prog="python -m lpbf.generate", description=__doc__)
    add = parser.add_argument
    add("--out", required=True, help="folder of the data set")
    add("--num-parts", type=int, default=64, help="number of procedural parts")
    add("--parts", help=f"folder of part files to add ({', '.join(PART_SUFFIXES)})")
    add("--workers", type=int, default=os.cpu_count() or 1, help="processes")
    add("--resume", action="store_true", help="go on with a data set that was begun before")
    add("--seed", type=int, default=defaults.seed, help="of the procedural parts")
    add("--pitch", type=float, default=defaults.pitch, help="voxel edge, mm")
    add("--size", type=float, nargs=2, default=defaults.size, help="of procedural parts, mm")
    add("--min-nodes", type=int, default=defaults.min_nodes)
    add("--max-nodes", type=int, default=defaults.max_nodes)
    add("--islands", choices=("drop", "refuse"), default=defaults.islands)
    add("--test-fraction", type=float, default=defaults.test_fraction)
    add("--material", default=defaults.material)
    add("--inherent-strain", type=float, nargs=3, default=defaults.inherent_strain)
    add("--scan-rotation", type=float, default=defaults.scan_rotation, help="degrees a layer")
    options = vars(parser.parse_args(argv))
    run = {key: options.pop(key) for key in ("out", "num_parts", "parts", "workers", "resume")}
    for key in ("size", "inherent_strain"):
        options[key] = tuple(options[key])
    try:
        count = generate(settings=Settings(**options), **run)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except BrokenProcessPool:
        print("error: a worker died (out of memory?); go on with --resume", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; go on with --resume", file=sys.stderr)
        return 130
    print(f"{count} cases in {run['out']}; rejected parts: {Path(run['out']) / 'rejected.jsonl'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
