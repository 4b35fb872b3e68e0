"""Generate a data set of simulated parts: ``python -m lpbf.generate``."""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flare_mesh.workers import WorkerLostError
from lpbf.core import command
from lpbf.core.part import PART_SUFFIXES
from lpbf.dataset.catalog import count_rejections
from lpbf.dataset.generate import generate
from lpbf.dataset.settings import Settings

__all__ = ["generate", "main"]

_RUN = ("out", "num_parts", "parts", "workers", "scheduler", "resume")


def _parser() -> argparse.ArgumentParser:
    defaults = Settings()
    parser = argparse.ArgumentParser(prog="python -m lpbf.generate", description=__doc__)
    add = parser.add_argument
    add("--out", required=True, help="folder of the data set")
    text = "procedural parts (default: 64, or none with --parts)"
    add("--num-parts", type=int, metavar="N", help=text)
    add("--parts", metavar="DIR", help=f"folder of part files ({', '.join(PART_SUFFIXES)})")
    command.add_workers(parser)
    add("--scheduler", metavar="ADDRESS", help="Dask cluster that runs the cases instead")
    add("--resume", action="store_true", help="continue a data set")

    group = parser.add_argument_group("parts")
    add = group.add_argument
    add("--seed", type=int, default=defaults.seed, help="random seed (default: %(default)s)")
    text = "range of the procedural parts' largest extent, mm"
    add("--size", type=float, nargs=2, metavar=("LOW", "HIGH"), default=defaults.size, help=text)
    text = "use each part in K of the 24 orientations along the axes"
    add("--orientations", type=int, metavar="K", default=defaults.orientations, help=text)
    text = "range of a random scale factor"
    add("--scale", type=float, nargs=2, metavar=("LOW", "HIGH"), default=defaults.scale, help=text)
    flag: Any = argparse.BooleanOptionalAction
    text = "whether flat faces of procedural parts are moved onto faces of voxels (default: yes)"
    add("--aligned", action=flag, default=defaults.aligned, help=text)
    command.add_unit(group, "each file of --parts")
    command.add_pitch(group, defaults.pitch)
    command.add_islands(group, "powder if the process has it, else drop")
    command.add_test_fraction(group, defaults.test_fraction)

    group = parser.add_argument_group("limits beyond which a part is rejected")
    add = group.add_argument
    text = "smallest accepted number of nodes (default: %(default)s)"
    add("--min-nodes", type=int, default=defaults.min_nodes, help=text)
    text = "largest accepted number of nodes (default: %(default)s)"
    add("--max-nodes", type=int, default=defaults.max_nodes, help=text)
    text = "largest accepted displacement of a node (default: no limit)"
    add("--max-displacement", type=float, metavar="MM", help=text)
    text = "largest accepted aspect ratio (default: %(default)s)"
    add("--max-aspect-ratio", type=float, default=defaults.max_aspect_ratio, help=text)
    text = "largest accepted fraction of dropped voxels (default: %(default)s)"
    add("--max-dropped", type=float, metavar="F", default=defaults.max_dropped, help=text)
    text = "largest accepted error of the voxels' volume and extents (default: %(default)s)"
    add("--max-volume-error", type=float, metavar="F", default=defaults.max_volume_error, help=text)
    command.add_build_volume(group)
    command.add_process(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Generate a data set; see :func:`lpbf.core.command.run_command` for the exit codes.

    Code 1 also says that cases ended their worker at each try; all others are in the index.
    """
    options = vars(_parser().parse_args(argv))
    interrupted = "interrupted; continue with --resume"
    return command.run_command(lambda: _generate(options), interrupted=interrupted)


def _generate(options: dict[str, Any]) -> int:
    start = time.perf_counter()
    if options["scheduler"] is not None and options["workers"] is not None:
        raise ValueError("expected --workers or --scheduler (got both); leave one out")
    if options["workers"] is None:
        options["workers"] = os.cpu_count() or 1
    if options["num_parts"] is None:
        options["num_parts"] = 64 if options["parts"] is None else 0
    options_of_process = {name: options.pop(name) for name in command.PROCESS_OPTIONS}
    process = command.read_process(options_of_process)
    files = command.support_files(options_of_process)
    if files:
        raise ValueError(
            f"--supports: expected auto for a data set (got {', '.join(files)}); a file of "
            f"supports belongs to one part"
        )
    run = {name: options.pop(name) for name in _RUN}
    for name in ("size", "scale", "build_volume"):
        options[name] = tuple(options[name])
    try:
        count = generate(settings=Settings(**options, process=process), **run)
    except WorkerLostError as error:
        cases = ", ".join(case.name for case, *_ in error.tasks)
        print(f"error: {error}: {cases}; continue with --resume", file=sys.stderr)
        return 1
    out = Path(run["out"])
    print(f"{count} cases in {out}, {time.perf_counter() - start:.0f} s")
    rejected = count_rejections(out)
    if rejected:
        kinds = ", ".join(f"{number} {kind}" for kind, number in rejected.most_common())
        print(f"{rejected.total()} parts rejected ({kinds}): {out / 'rejected.jsonl'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
