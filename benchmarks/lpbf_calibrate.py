"""Time and peak memory of three strains of an elastic cantilever of 22,725 nodes: two minutes.

    python benchmarks/lpbf_calibrate.py [--length 100]

The values are simulated with known strains, which have to be recovered to 1e-4. The times are wall
time, and that of all cores together; the memory is the largest of the whole process. A shorter
``--length`` (30, 32, ... mm) tries the script. Exit code 1: the whole cantilever takes longer.
"""

import argparse
import sys
import time
from dataclasses import replace

import numpy as np

import lpbf
from flare_mesh.devices import peak_memory
from lpbf.calibrate import Cantilever, MeasuredPoint, Measurement

STRAIN = (-0.005, -0.003, -0.004)
LENGTH, SECONDS = 100.0, 120.0


def measurement(length: float) -> tuple[Measurement, int]:
    """Simulated displacement of every 50th node of a cantilever, and the number of its nodes."""
    part = Cantilever(length=length, width=14.0, height=14.0, thickness=6.0, block=20.0)
    process = lpbf.Process(inherent_strain=STRAIN, release=part.release)
    result = lpbf.simulate(lpbf.voxelize(part.surface(), 1.0), process)
    points = [
        MeasuredPoint(position=position, component=component, value=value)
        for position, values in zip(
            result.points[::50].tolist(), result.displacement[::50].tolist(), strict=True
        )
        for component, value in zip("xyz", values, strict=True)
    ]
    given = Measurement(
        specimen=part,
        pitch=(1.0, 1.0, 1.0),
        process=replace(process, inherent_strain=(-0.004, -0.004, -0.004)),
        points=tuple(points),
        parameters="components",
        uncertainty=0.01,
    )
    return given, len(result.points)


def main() -> int:
    """Check the strains, then print time and memory."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--length", type=float, default=LENGTH, metavar="MM")
    options = parser.parse_args()
    given, nodes = measurement(options.length)
    wall, start = time.perf_counter(), time.process_time()
    found = lpbf.calibrate(given)
    cpu, wall = time.process_time() - start, time.perf_counter() - wall
    np.testing.assert_allclose(found.numbers, STRAIN, rtol=1e-4)
    print(
        f"{nodes:,} nodes, {len(given.points)} values, {found.simulations} simulations: {wall:.1f} "
        f"s (limit {SECONDS:g} s), {cpu:.1f} s of all cores together, {peak_memory() / 1e9:.2f} GB "
        f"at most"
    )
    return int(options.length >= LENGTH and wall > SECONDS)


if __name__ == "__main__":
    sys.exit(main())
