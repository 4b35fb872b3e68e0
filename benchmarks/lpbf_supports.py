"""Homogeneous supports: their error against a grid of walls, and the time that they add.

    python benchmarks/lpbf_supports.py

The error is that of the part's displacement (relative L2 norm over its nodes), with walls of one
voxel at several distances as the reference. The time is that of single-threaded builds of a bracket
with and without supports, medians of interleaved runs, after a check of the result. A step costs as
much as its active cells, so a support's share of the cells is counted over all steps.
"""

import statistics
import time
import warnings

import numpy as np
import torch

from lpbf import HexMesh, PartWarning, Process, Result, Supports, add_supports, simulate
from lpbf.core.support_cells import with_supports


def errors(period: int, pitch: float = 0.125) -> dict[str, float]:
    """Errors of a supported arm, with walls at this distance in voxels."""
    post, height, slab = 8, 2 * period, 6
    size = (post + 4 * period, 3 * period, height + slab)
    mask, bodies = np.zeros(size, dtype=bool), np.zeros(size, dtype=bool)
    mask[:post] = mask[:, :, height:] = True
    bodies[post:, :, :height] = True
    i, j = np.indices(size[:2])
    walls = ((i - post) % period == period // 2) | (j % period == period // 2)
    fraction = 1 - (1 - 1 / period) ** 2
    supports = Supports(generate=False, volume_fraction=fraction)
    found = simulate(
        HexMesh.from_mask(mask, pitch, supports=bodies), Process(supports=supports, release=True)
    )
    whole = HexMesh.from_mask(mask | (bodies & walls[:, :, None]), pitch)
    box = [[post * pitch, -1.0, -1.0], [99.0, 99.0, height * pitch]]
    expected = simulate(whole, Process(release=[{"below": 0.0}, {"box": box}]))
    nodes = found.mesh.nodes_in(whole)
    top = found.points[:, 2] > (height + slab - 0.5) * pitch

    def error(one: np.ndarray, other: np.ndarray) -> float:
        return float(np.linalg.norm(one - other) / np.linalg.norm(other))

    assert found.displacement_on_plate is not None
    assert expected.displacement_on_plate is not None
    on_plate = expected.displacement_on_plate[nodes]
    return {
        "volume fraction": fraction,
        "supports off": error(found.displacement, expected.displacement[nodes]),
        "top on the plate": error(found.displacement_on_plate[top], on_plate[top]),
        "all on the plate": error(found.displacement_on_plate, on_plate),
    }


def bracket(scale: int) -> HexMesh:
    mask = np.zeros((20 * scale, 10 * scale, 12 * scale), dtype=bool)
    mask[: 6 * scale] = mask[:, :, 8 * scale :] = True
    return HexMesh.from_mask(mask, 1.0 / scale)


def cell_steps(mesh: HexMesh) -> int:
    """Active cells, summed over the layers of one row of voxels."""
    return int(np.cumsum(mesh.mask.sum(axis=(0, 1))).sum())


def times(scale: int, runs: int) -> str:
    part = bracket(scale)
    whole = with_supports(add_supports(part, Supports()))
    cases = {"part": (part, Process()), "supports": (part, Process(supports=True))}
    cases["solid"] = whole, Process()
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    results: dict[str, Result] = {}
    for _ in range(runs):
        for name, (mesh, process) in cases.items():
            began = time.process_time()
            results[name] = simulate(mesh, process)
            seconds[name].append(time.process_time() - began)
    # Supports are between nothing and solid cells.
    sizes = {name: float(np.abs(r.displacement).max()) for name, r in results.items()}
    assert sizes["solid"] < sizes["supports"] < sizes["part"], sizes
    part_time, supported, solid = (statistics.median(seconds[name]) for name in cases)
    iterations = [r.report.iterations for r in results.values() if r.report is not None]
    return (
        f"{part.num_cells:,} + {whole.num_cells - part.num_cells:,} cells: "
        f"{part_time:.2f}, with supports {supported:.2f}, as solid cells {solid:.2f} s; "
        f"{supported / part_time:.2f} times the time, {whole.num_cells / part.num_cells:.2f} times "
        f"the cells, {cell_steps(whole) / cell_steps(part):.2f} times the cells of all steps; "
        f"iterations {iterations}"
    )


if __name__ == "__main__":
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", PartWarning)
    for period in (6, 8, 10):
        found = errors(period)
        print(f"walls at {period} voxels:", {name: round(x, 4) for name, x in found.items()})
    for scale, runs in ((1, 5), (2, 3)):
        print(times(scale, runs), flush=True)
