"""Measure this machine in ten minutes: ``make bench``, or ``make bench AUTHORS=DIR``.

    python benchmarks/bench.py [--authors DIR] [--minutes 10] [--only PART ...] [--json FILE]

Runs the other scripts of this folder, with fewer repetitions than they have by default. Each of
them compares its results before it times them; a difference ends its part, and the exit code is 1.
What the time does not suffice for is left out and listed. The figures of all parts are written to
one file, by default ``benchmarks/results/PROCESSOR_N_cores.json``.
"""

import argparse
import json
import os
import platform
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent

PARTS: dict[str, list[str]] = {
    "mixer": ["flare_mixing.py", "--only", "mixer", "batch", "--no-compile"],
    "step": ["training_step.py", "--sizes", "972x2", "972x8", "10000x1"],
    "million": ["flare_mixing.py", "--only", "million"],
    "training": ["training_loop.py", "--nodes", "1000", "--steps", "40"],
    "prediction": ["prediction.py", "--nodes", "50000", "--repeat", "3"],
    "points": ["point_sampling.py", "--points", "500000", "--repeat", "3"],
    "reading": ["data_reading.py", "--repeat", "11", "--count", "50"],
    "lpbf": ["lpbf_simulate.py", "--only", "elastic", "plastic", "--repeat", "1"],
    "small": ["small_meshes.py"],
}
"""Script and arguments of each part, the most important ones first."""

_WITH_AUTHORS = ("mixer", "step", "million")


def processor() -> str:
    """Name of the processor."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        found = re.search(r"^model name\s*:\s*(.+)$", info.read_text(), re.MULTILINE)
        if found:
            return found[1].strip()
    return platform.processor() or platform.machine()


def cores() -> int | None:
    """Number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def file_name(name: str, count: int) -> str:
    """File name of a processor's results, such as ``amd_epyc_7b13_2_cores.json``."""
    words = re.sub(r"\((r|tm)\)|\bcpu\b|processor|@.*", " ", name.lower())
    return f"{re.sub(r'[^a-z0-9]+', '_', words).strip('_')}_{count}_cores.json"


def _run(command: Sequence[str], seconds: float) -> int:
    """Exit code of a command, which is stopped with its own processes after some time."""
    own_group = os.name == "posix"
    process = subprocess.Popen(command, process_group=0 if own_group else None)
    try:
        return process.wait(seconds)
    except BaseException:  # also Ctrl-C, which another process group does not get
        if own_group:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
        process.wait()
        raise


def measure(
    parts: Mapping[str, Sequence[str]], seconds: float
) -> tuple[dict[str, Any], dict[str, str], list[str]]:
    """Run the parts one after another.

    Args:
        parts: Script and arguments of each part; ``--json FILE`` is added.
        seconds: Time for all parts together; the part that exceeds it is stopped.

    Returns:
        The figures of each part; why others were left out; and the parts that failed.
    """
    end = time.monotonic() + seconds
    figures: dict[str, Any] = {}
    left_out: dict[str, str] = {}
    failed: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        for name, (script, *options) in parts.items():
            left = end - time.monotonic()
            if left <= 0:
                left_out[name] = "no time was left"
                print(f"{name}: left out, no time was left", flush=True)
                continue
            print(f"== {name}: {' '.join([script, *options])}", flush=True)
            path = Path(folder) / f"{name}.json"
            command = [sys.executable, str(HERE / script), *options, "--json", str(path)]
            try:
                code = _run(command, left)
            except subprocess.TimeoutExpired:
                left_out[name] = f"not finished in the {left:.0f} s that were left"
                print(f"{name}: left out, {left_out[name]}", flush=True)
                continue
            if code or not path.is_file():
                failed.append(name)
                print(f"{name}: failed with exit code {code}; its figures are left out", flush=True)
                continue
            figures[name] = json.loads(path.read_text())
    return figures, left_out, failed


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--authors", type=Path, help="checkout of vpuri3/FLARE.py")
    parser.add_argument("--minutes", type=float, default=10.0, help="time of all parts together")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--json", type=Path)
    given = parser.parse_args(argv)
    parts = {name: list(PARTS[name]) for name in given.only}
    left_out = {}
    if given.authors is None:
        left_out["authors"] = "no checkout of vpuri3/FLARE.py; give one by AUTHORS=DIR"
        print(f"authors' model: left out, {left_out['authors']}")
    else:
        for name in parts.keys() & {*_WITH_AUTHORS}:
            parts[name] += ["--authors", str(given.authors.resolve())]
    machine = {
        "processor": processor(),
        "cores": cores(),
        "system": platform.system(),
        "python": platform.python_version(),
        **{package: version(package) for package in ("torch", "numba", "numpy")},
    }
    print(machine, flush=True)
    figures, no_time, failed = measure(parts, 60 * given.minutes)
    path = given.json or HERE / "results" / file_name(machine["processor"], cores() or 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    result = {"machine": machine, "left_out": left_out | no_time, "failed": failed, **figures}
    path.write_text(json.dumps(result, indent=2) + "\n")
    print(f"figures of {len(figures)} of {len(parts)} parts: {path}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
