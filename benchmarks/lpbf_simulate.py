"""Speed of the simulator, compared with CalculiX.

    python benchmarks/lpbf_simulate.py [--only NAME ...] [--repeat 3] [--json FILE]

NAME is one of

- elastic, plastic: a brick of 24 x 24 x 24 cells in 24 layers;
- calculix: the last step of that elastic build by CalculiX (C3D8I) and by lpbf, if ``ccx`` is
  installed;
- large: an elastic part of about 50,000 nodes in 40 layers, with the peak memory of its process;
- scaling: elastic builds of 24 layers, each with twice the cells of the last one;
- generate: a data set of 48 parts with one worker and with two.

Before the timings, the stored builds of CalculiX are reproduced: displacements of the elastic ones
to 1e-5, of the plastic one to 1 %. The timed results are checked, too. Times are medians of the
wall time, after a warm-up run.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from calculix import Metal, available, run, step_deck

from lpbf import HexMesh, Material, Process, Result, simulate
from lpbf.mechanics.build import make_build
from lpbf.mechanics.equilibrium import Equilibrium

DATA = Path(__file__).parents[1] / "tests" / "lpbf" / "verification" / "data"
METAL = Material("metal", 110_000.0, 0.34, yield_stress=800.0, hardening_modulus=1_000.0)
Row = dict[str, float | int | str]


def brick(*cells: int) -> HexMesh:
    return HexMesh.from_mask(np.ones(cells, dtype=bool), 1.0)


def large_part() -> HexMesh:
    """A block with a bore, a slot and an overhanging rim."""
    mask = np.ones((40, 38, 40), dtype=bool)
    x, y = np.mgrid[:40, :38]
    mask[(x - 20) ** 2 + (y - 19) ** 2 < 64] = False
    mask[:, 4:8, 8:30] = False
    mask[:3, :, :20] = False
    return HexMesh.from_mask(mask, 0.8)


def check_stored_builds() -> None:
    for name, tolerance in (
        ("elastic_modes", 1e-5),
        ("elastic_plain", 1e-5),
        ("plastic_build", 0.01),
    ):
        with np.load(DATA / f"{name}.npz") as file:
            case = {key: file[key] for key in file.files}
        elastic = name.startswith("elastic")
        flow = (
            {}
            if elastic
            else {key: float(case[key]) for key in ("yield_stress", "hardening_modulus")}
        )
        numbers = (float(case[key]) for key in ("youngs_modulus", "poisson_ratio"))
        process = Process(
            Material("metal", *numbers, **flow),
            layer_height=float(case["layer_height"]),
            inherent_strain=tuple(case["inherent_strain"].tolist()),
            scan_rotation=float(case["scan_rotation"]),
            plasticity=not elastic,
            incompatible_modes=name != "elastic_plain",
        )
        mesh = HexMesh.from_mask(case["mask"], tuple(case["spacing"].tolist()))
        stored = case["displacement"]
        found = simulate(mesh, process).displacement
        error = np.abs(found - stored).max() / np.abs(stored).max()
        assert error < tolerance, f"{name}: {error:.3g} from CalculiX"


def check(result: Result) -> None:
    """Check that a symmetric block distorts symmetrically and every step has converged."""
    assert result.report is not None
    assert all(step.residual <= 1e-5 for step in result.report.steps)
    shape = [n + 1 for n in result.mesh.mask.shape]
    u = result.displacement.reshape(shape[2], shape[1], shape[0], 3)
    scale = np.abs(u).max()
    for axis, component in ((2, 0), (1, 1)):
        mirrored = np.flip(u, axis).copy()
        mirrored[..., component] *= -1
        error = np.abs(u - mirrored).max()
        assert error < 1e-4 * scale, f"not symmetric by {error / scale:.3g}"


def median(function: Callable[[], Any], repeat: int) -> float:
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def build(mesh: HexMesh, process: Process, repeat: int) -> Row:
    result = simulate(mesh, process)
    check(result)
    assert result.report is not None
    flow = result.equivalent_plastic_strain
    seconds = median(lambda: simulate(mesh, process), repeat)
    return {
        "nodes": mesh.num_nodes,
        "cells": mesh.num_cells,
        "nodes_that_flow": 0.0 if flow is None else float((flow > 0).mean()),
        "layers": int(mesh.mask.shape[2]),
        "iterations": sum(step.iterations for step in result.report.steps),
        "newton_iterations": sum(step.newton_iterations for step in result.report.steps),
        "seconds": seconds,
    }


def elastic(repeat: int) -> Row:
    return {**build(brick(24, 24, 24), Process(METAL), repeat), "target_seconds": 6.0}


def plastic(repeat: int) -> Row:
    mesh, process = brick(24, 24, 24), Process(METAL, plasticity=True)
    row = build(mesh, process, repeat)
    share = row["nodes_that_flow"]
    assert isinstance(share, float)
    assert share > 0.05, "less than 5 % of the nodes yield"
    return {**row, "target_seconds": 60.0}


def calculix(repeat: int) -> Row:
    if not available():
        return {"skipped": "ccx is not installed"}
    mesh = brick(24, 24, 24)
    layers = make_build(mesh, Process(METAL))
    eigenstrain = np.zeros((mesh.num_cells, 6))
    newest = layers.layer_cells(23)
    eigenstrain[newest] = layers.layer_strain[23]
    metal = Metal(METAL.youngs_modulus, METAL.poisson_ratio)
    threads = torch.get_num_threads()
    theirs = run(step_deck(mesh, eigenstrain, metal), threads=threads)

    equilibrium = Equilibrium(layers)
    for layer in range(layers.num_layers):
        equilibrium.activate_layer(layer)
    load = np.zeros((mesh.num_nodes, 3))
    local = (layers.brick.load @ layers.layer_strain[23]).reshape(8, 3)
    for corner in range(8):
        np.add.at(load, mesh.cells[newest, corner], local[corner])
    force = torch.from_numpy(load)
    ours = equilibrium.solve(force).u.numpy()
    assert len(theirs.nodes) == mesh.num_nodes
    error = np.abs(ours - theirs.displacement).max() / np.abs(ours).max()
    assert error < 1e-5, f"{error:.3g} from CalculiX"

    deck = step_deck(mesh, eigenstrain, metal, results=False)
    ccx = statistics.median(run(deck, threads=threads).seconds for _ in range(repeat))
    seconds = median(lambda: equilibrium.solve(force), repeat)
    return {"calculix_seconds": ccx, "our_step_seconds": seconds, "ratio": ccx / seconds}


PEAK = """
import resource, sys
sys.path.insert(0, {folder!r})
import lpbf_simulate
from lpbf import Process, simulate
simulate(lpbf_simulate.large_part(), Process(lpbf_simulate.METAL))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def large(repeat: int) -> Row:
    mesh, process = large_part(), Process(METAL)
    result = simulate(mesh, process)
    assert result.report is not None
    assert all(step.residual <= 1e-5 for step in result.report.steps)
    assert 0 < np.abs(result.displacement).max() < 1
    seconds = median(lambda: simulate(mesh, process), repeat)
    code = PEAK.format(folder=str(Path(__file__).parent))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    kilobytes = int(done.stdout) / (1024 if platform.system() == "Darwin" else 1)
    return {
        "nodes": mesh.num_nodes,
        "layers": int(mesh.mask.shape[2]),
        "seconds": seconds,
        "target_seconds": 30.0,
        "peak_gigabytes": kilobytes * 1024 / 1e9,
        "target_gigabytes": 1.5,
    }


def scaling(repeat: int) -> Row:
    row: Row = {}
    before = None
    for cells in ((24, 12, 24), (24, 24, 24), (48, 24, 24), (48, 48, 24)):
        seconds = build(brick(*cells), Process(METAL), repeat)["seconds"]
        assert isinstance(seconds, float)
        row[f"{np.prod(cells)} cells"] = seconds
        if before is not None:
            row[f"{np.prod(cells)} over half of it"] = seconds / before
        before = seconds
    return {**row, "target": 2.3}


def generate(repeat: int) -> Row:
    times: dict[int, list[float]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory() as name:
        for run_number in range(repeat):
            for workers in times:
                out = Path(name) / f"{run_number}_{workers}"
                given = {"--out": out, "--num-parts": 48, "--workers": workers}
                command = [sys.executable, "-m", "lpbf.generate"]
                command += [str(word) for pair in given.items() for word in pair]
                start = time.perf_counter()
                subprocess.run(command, check=True, capture_output=True)
                times[workers].append(time.perf_counter() - start)
        _same_cases(Path(name) / "0_1", Path(name) / "0_2")
    one, two = (statistics.median(seconds) for seconds in times.values())
    return {"one_worker_seconds": one, "two_workers_seconds": two, "ratio": one / two}


def _same_cases(first: Path, second: Path) -> None:
    names = sorted(str(path.relative_to(first)) for path in first.glob("t*/*.npz"))
    assert names
    assert names == sorted(str(p.relative_to(second)) for p in second.glob("t*/*.npz"))
    for name in names:
        with np.load(first / name) as a, np.load(second / name) as b:
            for key in ("pos", "elems", "disp", "vmstr"):
                np.testing.assert_array_equal(a[key], b[key], err_msg=f"{name}: {key}")


MEASUREMENTS: dict[str, Callable[[int], Row]] = {
    "elastic": elastic,
    "plastic": plastic,
    "calculix": calculix,
    "large": large,
    "scaling": scaling,
    "generate": generate,
}


def read_options(description: str | None, names: Iterable[str]) -> argparse.Namespace:
    """``--only`` some names, ``--repeat`` and ``--json``."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=[*names], default=[*names])
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def measure_all(
    measure: Callable[[str, int], Row], options: argparse.Namespace, results: dict[str, Any]
) -> None:
    """Measure the chosen names, print each row, and write the file."""
    for name in options.only:
        results[name] = row = measure(name, options.repeat)
        cells = (f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items())
        print(f"{name}: {', '.join(cells)}", flush=True)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(results, indent=2) + "\n")


def main() -> None:
    options = read_options(__doc__, MEASUREMENTS)
    results: dict[str, Any] = {
        "machine": {
            "cores": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
            "repeat": options.repeat,
        }
    }
    print(results["machine"])
    check_stored_builds()
    measure_all(lambda name, repeat: MEASUREMENTS[name](repeat), options, results)


if __name__ == "__main__":
    main()
