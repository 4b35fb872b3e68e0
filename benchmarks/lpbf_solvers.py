"""Times the two layered solvers against each other in one run, after checking that they agree.

    python benchmarks/lpbf_solvers.py [--repeat 3] [--json FILE]

The ratio shows where each is the faster one; `chosen` is what solver="auto" takes.
"""

import argparse
import json
import statistics
from pathlib import Path

import numpy as np
import torch
from pyvista import examples

from lpbf import HexMesh, Process, simulate, voxelize
from lpbf.mechanics.build import make_build
from lpbf.mechanics.solve_direct import direct_suits

PARTS = {
    "nut, pitch 2.5": lambda: voxelize(examples.nutfile, 2.5),
    "nut, pitch 2.0": lambda: voxelize(examples.nutfile, 2.0),
    "nut, pitch 1.5": lambda: voxelize(examples.nutfile, 1.5),
    "cube 12^3": lambda: HexMesh.from_mask(np.ones((12, 12, 12)), 1.0),
    "cube 24^3": lambda: HexMesh.from_mask(np.ones((24, 24, 24)), 1.0),
    "wall 40 x 2 x 30": lambda: HexMesh.from_mask(np.ones((40, 2, 30)), 1.0),
}


def measure(mesh: HexMesh, repeat: int) -> dict[str, float | str | int]:
    results = {solver: [simulate(mesh, solver=solver)] for solver in ("direct", "cg")}
    direct, cg = (results[solver][0].displacement for solver in ("direct", "cg"))
    assert np.abs(direct - cg).max() < 1e-6 * np.abs(direct).max(), "the solvers disagree"
    for _ in range(repeat):
        for solver, runs in results.items():
            runs.append(simulate(mesh, solver=solver))
    seconds = {
        solver: statistics.median(run.seconds for run in runs[1:])
        for solver, runs in results.items()
    }
    return {
        "nodes": mesh.num_nodes,
        "layers": mesh.mask.shape[2],
        "direct_s": seconds["direct"],
        "cg_s": seconds["cg"],
        "cg_over_direct": seconds["cg"] / seconds["direct"],
        "chosen": "direct" if direct_suits(make_build(mesh, Process())) else "cg",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = {}
    print(f"{torch.get_num_threads()} threads; medians of {options.repeat} runs")
    for name, part in PARTS.items():
        rows[name] = row = measure(part(), options.repeat)
        print(
            f"{name:<17} {row['nodes']:>6} nodes  {row['layers']:>3} layers  "
            f"direct {row['direct_s']:7.2f} s  cg {row['cg_s']:7.2f} s  "
            f"cg/direct {row['cg_over_direct']:5.2f}  auto: {row['chosen']}",
            flush=True,
        )
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
