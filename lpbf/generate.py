"""Turns CAD parts into a data set: ``python -m lpbf.generate``."""

import argparse
import json
import os
import sys
import warnings
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from flare_mesh.data import atomic_path
from lpbf.case_file import is_whole, read_metadata, write_case
from lpbf.cases import Case, list_cases
from lpbf.errors import PartError, PartWarning, SolverError
from lpbf.part import PART_SUFFIXES
from lpbf.parts import procedural_part
from lpbf.settings import Settings
from lpbf.simulate import simulate
from lpbf.voxelize import voxelize

# A procedural case draws at most this many parts until one is accepted.
_ATTEMPTS = 20


@dataclass(frozen=True)
class Rejection:
    """Why a part did not enter the data set; ``final`` if the case was given up."""

    case: str
    attempt: int
    reason: str
    final: bool


def run_case(case: Case, settings: Settings, out: Path) -> list[Rejection]:
    """Builds, simulates and writes one case; returns the parts rejected on the way."""
    rejections = []
    attempts = _ATTEMPTS if isinstance(case.part, int) else 1
    for attempt in range(attempts):
        try:
            write_case(out / case.file, *_simulate_case(case, settings, attempt))
        except (PartError, SolverError, FileNotFoundError) as error:
            final = attempt == attempts - 1
            rejections.append(Rejection(case.name, attempt, str(error), final))
        else:
            break
    return rejections


def _simulate_case(case: Case, settings: Settings, attempt: int):
    if isinstance(case.part, int):
        part = procedural_part((settings.seed, case.part, attempt), size=settings.size)
        source = {"source": "procedural", "family": part.metadata["family"]}
    else:
        part, source = case.part, {"source": case.part.name}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", PartWarning)
        mesh = voxelize(part, settings.pitch, islands=settings.islands)
    if not settings.min_nodes <= mesh.num_nodes <= settings.max_nodes:
        raise PartError(
            f"{mesh.num_nodes:,} nodes are outside the limits of {settings.min_nodes:,} to "
            f"{settings.max_nodes:,}; change the pitch or the limits"
        )
    result = simulate(mesh, settings.process())
    if not (np.isfinite(result.displacement).all() and np.isfinite(result.stress).all()):
        raise SolverError("the solution is not finite")
    metadata = {
        "case_id": case.name,
        **source,
        "seed": settings.seed,
        "attempt": attempt,
        "num_nodes": mesh.num_nodes,
        "num_edges": mesh.edge_index.shape[1],
        "num_elements": mesh.num_cells,
        "pitch_mm": settings.pitch,
        "material": settings.material,
        "inherent_strain": settings.inherent_strain,
        "scan_rotation_deg": settings.scan_rotation,
        "max_displacement_mm": float(np.linalg.norm(result.displacement, axis=1).max()),
        "max_von_mises_mpa": float(result.von_mises.max()),
        "height_mm": float(mesh.points[:, 2].max()),
        "warnings": [str(w.message) for w in caught if issubclass(w.category, PartWarning)],
    }
    return result, metadata


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
        resume: Go on with a data set that was begun with the same settings; finished cases stay.

    Raises:
        FileNotFoundError: If ``parts`` is not a folder.
        ValueError: If the settings do not fit, or ``out`` is in use and not to be resumed.
    """
    settings = settings or Settings()
    out = Path(out)
    if workers < 1:
        raise ValueError(f"expected --workers >= 1 (got {workers})")
    cases = list_cases(num_parts, settings, Path(parts) if parts is not None else None)
    _open_folder(out, settings, resume)

    log = out / "rejected.jsonl"
    rejections = _read_log(log) if resume else []
    given_up = {r.case for r in rejections if r.final}
    todo = [c for c in cases if c.name not in given_up and not is_whole(out / c.file)]
    rejections = [r for r in rejections if r.case not in {c.name for c in todo}]
    with log.open("a") as file:
        for done in _run_all(todo, settings, out, workers):
            for rejection in done:
                file.write(json.dumps(asdict(rejection)) + "\n")
            file.flush()
            rejections += done

    order = {case.name: i for i, case in enumerate(cases)}
    rejections.sort(key=lambda r: (order.get(r.case, -1), r.attempt))
    with atomic_path(log) as temporary:
        temporary.write_text("".join(json.dumps(asdict(r)) + "\n" for r in rejections))
    entries = []
    for path in sorted(out.glob("t*/*.npz")):
        metadata = read_metadata(path)
        entries.append(
            {
                "case_id": metadata["case_id"],
                "file": path.relative_to(out).as_posix(),
                "num_nodes": metadata["num_nodes"],
                "num_edges": metadata["num_edges"],
                "metadata": metadata,
            }
        )
    with atomic_path(out / "index.json") as temporary:
        temporary.write_text(json.dumps(entries, indent=1))
    return len(entries)


def _open_folder(out: Path, settings: Settings, resume: bool) -> None:
    record = out / "settings.json"
    wanted = json.loads(json.dumps(asdict(settings)))
    if record.is_file():
        if not resume:
            raise ValueError(
                f"{out}: already holds a data set; add --resume, or choose another --out"
            )
        found = json.loads(record.read_text())
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
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"{out}: exists and is not an empty folder; choose another --out")
    with atomic_path(record) as temporary:
        temporary.write_text(json.dumps(wanted, indent=1))


def _read_log(log: Path) -> list[Rejection]:
    rejections = []
    for line in log.read_text().splitlines() if log.is_file() else []:
        try:
            rejections.append(Rejection(**json.loads(line)))
        except json.JSONDecodeError:
            continue  # the line during which the run was killed; its case is done anew
    return rejections


def _run_all(cases: Sequence[Case], settings: Settings, out: Path, workers: int):
    """Yields each case's rejections as it finishes, under a progress bar."""
    # One thread a process, also for one worker: the same rounding whatever their number.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
    columns = (
        TextColumn("simulating"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[rejected]} rejected"),
    )
    with (
        Progress(*columns, console=Console(stderr=True)) as progress,
        ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool,
    ):
        bar = progress.add_task("", total=len(cases), rejected=0)
        futures = [pool.submit(run_case, case, settings, out) for case in cases]
        rejected = 0
        try:
            for future in as_completed(futures):
                rejections = future.result()
                rejected += len(rejections)
                progress.update(bar, advance=1, rejected=rejected)
                yield rejections
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


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
