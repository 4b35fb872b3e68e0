"""Turns CAD parts into a data set: ``python -m lpbf.generate``."""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from flare_mesh.workers import WorkerLostError
from lpbf.core.islands import ISLANDS
from lpbf.core.part import PART_SUFFIXES
from lpbf.core.process import Process
from lpbf.dataset.catalog import count_rejections
from lpbf.dataset.generate import generate
from lpbf.dataset.settings import Settings

__all__ = ["generate", "main"]


def _parser() -> argparse.ArgumentParser:
    defaults = Settings()
    parser = argparse.ArgumentParser(prog="python -m lpbf.generate", description=__doc__)
    add = parser.add_argument
    add("--out", required=True, help="folder of the data set")
    add("--num-parts", type=int, default=64, help="number of procedural parts")
    add("--parts", help=f"folder of part files to add ({', '.join(PART_SUFFIXES)})")
    add("--workers", type=int, help="processes on this machine (default: one a core)")
    add("--scheduler", metavar="ADDRESS", help="of a Dask cluster, to work there instead")
    add("--resume", action="store_true", help="go on with a data set that was begun before")

    add = parser.add_argument_group("parts").add_argument
    add("--seed", type=int, default=defaults.seed, help="of the parts, orientations and scales")
    add("--size", type=float, nargs=2, default=defaults.size, help="of procedural parts, mm")
    text = "make each part in K of the 24 orientations along the axes"
    add("--orientations", type=int, metavar="K", default=defaults.orientations, help=text)
    add("--scale", type=float, nargs=2, default=defaults.scale, help="range of a random factor")
    add("--pitch", type=float, nargs="+", default=[defaults.pitch], help="voxel edge, or 3, mm")
    text = "what becomes of voxels that nothing holds; by default powder where the process says "
    add("--islands", choices=ISLANDS, help=text + "so, else drop")
    add("--test-fraction", type=float, default=defaults.test_fraction, help="of the parts")

    add = parser.add_argument_group("limits; what is beyond them is rejected").add_argument
    add("--min-nodes", type=int, default=defaults.min_nodes)
    add("--max-nodes", type=int, default=defaults.max_nodes)
    add("--max-displacement", type=float, help="mm (default: none; the published set has 1)")
    add("--max-aspect-ratio", type=float, default=defaults.max_aspect_ratio, help="of the voxels")

    add = parser.add_argument_group("process").add_argument
    add("--process", metavar="FILE.yaml", help="parameters of the build; those below go before it")
    add("--material", help="its name")
    add("--inherent-strain", type=float, nargs=3, help="along and across the scan, and upwards")
    add("--scan-rotation", type=float, help="degrees a layer")
    flag = argparse.BooleanOptionalAction
    add("--plasticity", action=flag, default=None, help="whether the material yields")
    add("--release", action=flag, default=None, help="whether the part is cut from the plate")
    return parser


def _settings(options: dict[str, Any]) -> Settings:
    """The settings of the command's options, less those of the run."""
    file = options.pop("process")
    process = Process() if file is None else Process.from_yaml(file)
    names = ("material", "inherent_strain", "scan_rotation", "plasticity", "release")
    given = {name: options.pop(name) for name in names}
    process = replace(process, **{name: v for name, v in given.items() if v is not None})
    pitch = options.pop("pitch")
    for name in ("size", "scale"):
        options[name] = tuple(options[name])
    return Settings(**options, pitch=pitch[0] if len(pitch) == 1 else tuple(pitch), process=process)


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns the exit code: 0, 1 (a worker died), 2 (bad input), 130 (Ctrl-C)."""
    options = vars(_parser().parse_args(argv))
    names = ("out", "num_parts", "parts", "workers", "scheduler", "resume")
    run = {name: options.pop(name) for name in names}
    start = time.perf_counter()
    try:
        if run["scheduler"] is not None and run["workers"] is not None:
            raise ValueError("--workers are processes of this machine; leave out --scheduler")
        if run["workers"] is None:
            run["workers"] = os.cpu_count() or 1
        count = generate(settings=_settings(options), **run)
    except (ValueError, OSError, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except WorkerLostError as error:
        cases = ", ".join(case.name for case, *_ in error.tasks)
        print(f"error: {error}: {cases}; go on with --resume, and more memory", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; go on with --resume", file=sys.stderr)
        return 130
    out = Path(run["out"])
    print(f"{count} cases in {out}, {time.perf_counter() - start:.0f} s")
    rejected = count_rejections(out)
    if rejected:
        kinds = ", ".join(f"{number} {kind}" for kind, number in rejected.most_common())
        print(f"{rejected.total()} parts rejected ({kinds}): {out / 'rejected.jsonl'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
