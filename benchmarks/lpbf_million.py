"""Time and peak memory of an elastic block of a million voxels: ten minutes, 4 GB.

    python benchmarks/lpbf_million.py [--edge 100] [--rows 1]

A cube of ``--edge`` voxels along each edge in layers of ``--rows`` rows of voxels, with an inherent
strain that is the same in x and y. The loops are compiled before. Every layer has to converge, and
the cube to distort symmetrically, before the figures are printed. The memory is the largest of the
whole process. Exit code 1: the whole million takes longer or more memory than its limit.
"""

import argparse
import sys
import time

import numpy as np

from flare_mesh.devices import peak_memory
from lpbf import HexMesh, Process, Result, simulate
from lpbf.simulate.estimate import estimate_build

PITCH = 0.4
SECONDS, BYTES = 600.0, 4e9


def check(result: Result) -> None:
    """Check that each layer has converged, and that the cube distorts symmetrically."""
    assert result.report is not None
    assert result.report.residual <= 1e-7, f"a residual is {result.report.residual:.2g}"
    x, y, z = (n + 1 for n in result.mesh.mask.shape)
    u = result.displacement.reshape(z, y, x, 3)
    scale = np.abs(u).max()
    for axis, component in ((2, 0), (1, 1)):
        mirrored = np.flip(u, axis).copy()
        mirrored[..., component] *= -1
        error = np.abs(u - mirrored).max()
        assert error < 1e-5 * scale, f"not symmetric by {error / scale:.3g}"


def main() -> int:
    """Simulate the cube, check it, and print time and memory beside the estimate."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--edge", type=int, default=100, help="voxels along an edge")
    parser.add_argument("--rows", type=int, default=1, help="rows of voxels in a layer")
    options = parser.parse_args()
    process = Process(layer_height=options.rows * PITCH)
    simulate(HexMesh.from_mask(np.ones((6, 6, 4 * options.rows), bool), PITCH), process)
    mesh = HexMesh.from_mask(np.ones((options.edge,) * 3, bool), PITCH)
    estimate = estimate_build(mesh, process)
    print(f"{mesh.num_cells:,} voxels, {mesh.num_nodes:,} nodes; estimate: {estimate}", flush=True)
    wall, start = time.perf_counter(), time.process_time()
    result = simulate(mesh, process)
    cpu, wall = time.process_time() - start, time.perf_counter() - wall
    memory = peak_memory()
    check(result)
    assert result.report is not None
    print(
        f"{len(result.report.steps)} layers, {result.report.iterations} iterations: {wall:.1f} s "
        f"(limit {SECONDS:g} s), {cpu:.1f} s of all cores together, {memory / 1e9:.2f} GB at most "
        f"(limit {BYTES / 1e9:g} GB)"
    )
    whole = mesh.num_cells >= 1_000_000
    return int(whole and (wall > SECONDS or memory > BYTES))


if __name__ == "__main__":
    sys.exit(main())
