"""Fuzz campaign: ``python -m tests.fuzz --minutes 10``."""

import argparse
import json
import sys
from pathlib import Path

from tests.fuzz.campaign import FAULTS, run_campaign
from tests.fuzz.targets import TARGETS


def main() -> int:
    """Print the outcomes; 1 if there was a fault."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, help="wall time")
    parser.add_argument("--files", type=int, help="number of files")
    parser.add_argument("--only", nargs="+", default=[], choices=TARGETS, help="readers to try")
    parser.add_argument("--seed", type=int, default=0, help="seed of the mutations")
    parser.add_argument("--keep", type=Path, help="folder for the files of faults")
    args = parser.parse_args()
    if args.minutes is None and args.files is None:
        args.minutes = 10.0
    found = run_campaign(
        args.only, files=args.files, minutes=args.minutes, seed=args.seed, keep=args.keep
    )
    for fault in found.faults:
        print(
            json.dumps(
                {key: fault.get(key) for key in ("target", "kind", "mutation", "text", "kept")}
            )
        )
    print(found.table())
    return int(any(found.total()[kind] for kind in FAULTS))


if __name__ == "__main__":
    sys.exit(main())
