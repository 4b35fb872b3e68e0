"""Converts other programs' results into a data set: ``python -m lpbf.convert``."""

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


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns the exit code: 0, 2 (bad input, or no case kept), 130 (Ctrl-C)."""
    options = vars(_parser().parse_args(argv))
    source, root, out = (options.pop(key) for key in ("source", "root", "out"))
    limits = {field.name: options.pop(field.name) for field in fields(Filters)}
    try:
        if source == "netfabb":
            names = {key: options.pop(key) for key in ("displacement", "von_mises", "temperature")}
            given = {key: name for key, name in names.items() if name is not None}
            kept, rejected = convert_netfabb(
                root, out, filters=Filters(**limits), fields=given, **options
            )
        else:
            if any(Path(root).rglob("*.parquet")) and find_spec("pyarrow") is None:
                print("metadata is left out: install pyarrow to read the index", file=sys.stderr)
            kept, rejected = convert_published(root, out, filters=Filters(**limits))
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"interrupted; remove {out} before the next try", file=sys.stderr)
        return 130
    print(f"{kept} cases in {out}, {len(rejected)} left out (reasons: {out}/rejected.jsonl)")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lpbf.convert", description=__doc__)
    sources = parser.add_subparsers(dest="source", required=True)
    netfabb = sources.add_parser("netfabb", help="mechanical results of Autodesk Netfabb (EnSight)")
    published = sources.add_parser("published", help="the published set, LPBF_FLARE")
    for command, limits in ((netfabb, Filters()), (published, NO_LIMITS)):
        command.add_argument("root", metavar="DIR", help="folder to convert")
        command.add_argument("--out", required=True, help="folder of the data set, new or empty")
        for name, limit in asdict(limits).items():
            flag = f"--{name.replace('_', '-')}"
            command.add_argument(flag, type=float, default=limit, help="default: %(default)s")
    add = netfabb.add_argument
    add("--test-fraction", type=float, default=0.2, help="share of the cases for test/")
    add("--step", type=int, default=-1, help="state of the result, -1 is the last")
    add("--plate", choices=("keep", "drop"), default="keep", help="the build plate, z < 0")
    add("--part", help="name of the part, if there are several")
    add("--displacement", metavar="NAME", help="name of the field, if it is not found")
    add("--von-mises", metavar="NAME")
    add("--temperature", metavar="NAME")
    add("--workers", type=int, default=os.cpu_count() or 1, help="processes")
    return parser


if __name__ == "__main__":
    sys.exit(main())
