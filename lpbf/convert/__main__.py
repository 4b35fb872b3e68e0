"""Convert other programs' results into a data set: ``python -m lpbf.convert``."""

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, fields
from importlib.util import find_spec
from pathlib import Path

from lpbf.convert.filters import NO_LIMITS, Filters
from lpbf.convert.netfabb import convert_netfabb
from lpbf.convert.published import convert_published
from lpbf.convert.read_netfabb import PLATE
from lpbf.core.command import add_test_fraction, add_workers, run_command

_FIELDS = ("displacement", "von_mises", "temperature")


def main(argv: Sequence[str] | None = None) -> int:
    """Convert a folder; see :func:`lpbf.core.command.run_command` for the exit codes."""
    options = _parser().parse_args(argv)
    interrupted = f"interrupted; remove {options.out} before the next try"
    return run_command(lambda: _run(options), interrupted=interrupted)


def _run(options: argparse.Namespace) -> int:
    root, out = options.root, options.out
    filters = Filters(**{field.name: getattr(options, field.name) for field in fields(Filters)})
    if options.source == "netfabb":
        names = {field: getattr(options, f"{field}_field") for field in _FIELDS}
        count, rejected = convert_netfabb(
            root,
            out,
            filters=filters,
            test_fraction=options.test_fraction,
            step=options.step,
            plate=options.plate,
            part=options.part,
            fields={field: name for field, name in names.items() if name is not None},
            workers=(os.cpu_count() or 1) if options.workers is None else options.workers,
        )
    else:
        if any(Path(root).rglob("*.parquet")) and find_spec("pyarrow") is None:
            print("warning: no metadata; install pyarrow to read the index", file=sys.stderr)
        count, rejected = convert_published(root, out, filters=filters)
    print(f"{count} cases in {out}, {len(rejected)} rejected (reasons: {out}/rejected.jsonl)")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lpbf.convert", description=__doc__)
    sources = parser.add_subparsers(dest="source", required=True)
    netfabb = sources.add_parser("netfabb", help="mechanical results of Autodesk Netfabb (EnSight)")
    published = sources.add_parser("published", help="the published data set, LPBF_FLARE")
    for command, limits in ((netfabb, Filters()), (published, NO_LIMITS)):
        command.add_argument("root", metavar="DIR", help="folder to convert")
        command.add_argument("--out", required=True, help="folder of the data set, new or empty")
        for name, limit in asdict(limits).items():
            words = name.removeprefix("max_").replace("_", " ")
            text = f"largest accepted {words} (default: %(default)s)"
            flag = f"--{name.replace('_', '-')}"
            command.add_argument(flag, type=float, default=limit, help=text)
    add_test_fraction(netfabb)
    add_workers(netfabb)
    add = netfabb.add_argument
    text = "state of the result, -1 for the last (default: %(default)s)"
    add("--step", type=int, default=-1, help=text)
    text = "the build plate, z < 0 (default: %(default)s)"
    add("--plate", choices=PLATE, default="keep", help=text)
    add("--part", metavar="NAME", help="name of the part, if there are several")
    for field in _FIELDS:
        text = f"name of the field {field} (default: by file name or description)"
        add(f"--{field.replace('_', '-')}-field", metavar="NAME", help=text)
    return parser


if __name__ == "__main__":
    sys.exit(main())
