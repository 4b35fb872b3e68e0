"""Estimated and measured time and memory of builds on one core.

    NUMBA_NUM_THREADS=1 OMP_NUM_THREADS=1 python benchmarks/lpbf_estimate.py

Each build runs in a new process, which first compiles the loops. The time is that of the
process, so that other programs matter little. The estimates have to be within a factor of three of
the time and of two of the memory.
"""

import json
import resource
import subprocess
import sys
import time
import warnings

import numpy as np

from lpbf import HexMesh, Process, simulate
from lpbf.core.heat import Heat
from lpbf.simulate.estimate import estimate_build

BUILDS: dict[str, tuple[tuple[int, int, int], dict[str, object]]] = {
    "cube": ((30, 30, 30), {}),
    "cube in thick layers": ((30, 30, 30), {"layer_height": 5.0}),
    "large cube": ((44, 44, 44), {}),
    "wall": ((2, 40, 40), {}),
    "plate with release": ((50, 50, 6), {"release": True}),
    "cube with heat": ((20, 20, 20), {"heat": Heat()}),
    "plastic cube": ((14, 14, 14), {"plasticity": True}),
    "plastic bar, one increment": ((40, 6, 6), {"plasticity": True, "plastic_increments": 1}),
}
TIME_FACTOR, MEMORY_FACTOR = 3.0, 2.0


def measure(name: str) -> dict[str, float]:
    """Seconds and bytes of a build, estimated and measured."""
    warnings.simplefilter("ignore")
    shape, options = BUILDS[name]
    options = {"layer_height": 1.0, "material": "316L", **options}
    process = Process(**options)  # pyright: ignore[reportArgumentType]
    rows = round(process.layer_height or 1.0)
    simulate(HexMesh.from_mask(np.ones((2, 2, 2 * rows)), 1.0), process)
    mesh = HexMesh.from_mask(np.ones(shape), 1.0)
    estimate = estimate_build(mesh, process)
    with open("/proc/self/statm") as file:
        before = int(file.read().split()[1]) * resource.getpagesize()
    began = time.process_time()
    simulate(mesh, process)
    return {
        "seconds": time.process_time() - began,
        "estimated_seconds": estimate.seconds,
        "bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before,
        "estimated_bytes": estimate.memory,
    }


def main() -> int:
    """Measure all builds; 1 if an estimate is farther off than it says."""
    if len(sys.argv) > 1:
        print(json.dumps(measure(sys.argv[1])))
        return 0
    bad = 0
    for name in BUILDS:
        command = [sys.executable, __file__, name]
        row = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
        times = row["estimated_seconds"] / row["seconds"]
        sizes = row["estimated_bytes"] / row["bytes"]
        print(
            f"{name:<28}{row['seconds']:8.2f} s, estimate x {times:4.2f}"
            f"{row['bytes'] / 1e6:8.0f} MB, estimate x {sizes:4.2f}",
            flush=True,
        )
        bad += not 1 / TIME_FACTOR < times < TIME_FACTOR
        bad += not 1 / MEMORY_FACTOR < sizes < MEMORY_FACTOR
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
