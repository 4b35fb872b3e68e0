"""Time of the identification of three strains on a cantilever of 22,725 nodes, elastic.

    python benchmarks/lpbf_calibrate.py

The values are simulated with known strains, which have to be recovered to 1e-4. The times are those
of the process, in s of all its cores together, and wall time.
"""

import time
from dataclasses import replace

import numpy as np

import lpbf
from lpbf.calibrate import Cantilever, MeasuredPoint, Measurement

STRAIN = (-0.005, -0.003, -0.004)


def measurement() -> Measurement:
    """Simulated displacement of every 50th node of the cantilever."""
    part = Cantilever(length=100.0, width=14.0, height=14.0, thickness=6.0, block=20.0)
    process = lpbf.Process(inherent_strain=STRAIN, release=part.release)
    result = lpbf.simulate(lpbf.voxelize(part.surface(), 1.0), process)
    points = [
        MeasuredPoint(position=position, component=component, value=value)
        for position, values in zip(
            result.points[::50].tolist(), result.displacement[::50].tolist(), strict=True
        )
        for component, value in zip("xyz", values, strict=True)
    ]
    return Measurement(
        specimen=part,
        pitch=(1.0, 1.0, 1.0),
        process=replace(process, inherent_strain=(-0.004, -0.004, -0.004)),
        points=tuple(points),
        parameters="components",
        uncertainty=0.01,
    )


def main() -> None:
    """Check the strains, then print the times."""
    given = measurement()
    wall, start = time.perf_counter(), time.process_time()
    found = lpbf.calibrate(given)
    cpu, wall = time.process_time() - start, time.perf_counter() - wall
    np.testing.assert_allclose(found.numbers, STRAIN, rtol=1e-4)
    sizes = f"{len(given.points)} values, {found.simulations} simulations"
    print(f"{sizes}: {cpu:.1f} s, wall time {wall:.1f} s")


if __name__ == "__main__":
    main()
