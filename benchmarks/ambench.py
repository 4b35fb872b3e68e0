"""Deflection of the bridge of AMB2018-01 (NIST, IN625 and 15-5PH), measured and simulated.

    python benchmarks/ambench.py [--layers 0.2 0.4 0.8] [--models elastic plastic]
        [--pitch 0.5 1.25 0.2] [--json FILE] [--figure FILE.png]

The legs are cut from the plate, the end block stays on it, and eleven ridges rise. Each model has
one free number, which is fitted to the ridge at x = 0.5 mm alone; the other ten are predicted. The
elastic deflection is proportional to the inherent strain. With plasticity it is proportional to
strain and yield stress together, if their ratio and the hardening are kept, since the plastic flow
is homogeneous; so a single simulation of each layer height fits both alloys.

Measurements: values of Phan et al. 2019 (doi 10.1007/s40192-019-00149-0), read from NIST's figure;
that of the first ridge is in NIST's text. CMM error 0.005 mm. Times are those of the process, on
one thread.
"""

import argparse
import json
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lpbf import HexMesh, Material, Process, Result, simulate, voxelize
from lpbf.core.specimens import ambench_bridge

RIDGES = 0.5 + 7.0 * np.arange(11)  # x of the ridges' middles, mm
MEASURED = {
    "IN625": [1.276, 0.997, 0.754, 0.551, 0.387, 0.250, 0.146, 0.065, 0.012, 0.000, 0.003],
    "15-5PH": [1.168, 0.914, 0.695, 0.516, 0.358, 0.231, 0.133, 0.076, 0.008, 0.002, -0.001],
}
STRAIN, YIELD = -0.004, 650.0  # of the simulations, before the fit
METAL = Material("metal", 207_000.0, 0.278, yield_stress=YIELD, hardening_modulus=207.0)
# The twelve legs reach to x = 54 mm; the end block begins at 56.
LEGS = {"box": [[-1.0, -1.0, -1.0], [55.0, 6.0, 0.0]]}


def bridge(pitch: tuple[float, float, float]) -> HexMesh:
    """Voxels of the bridge in the coordinates of the experiment."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the height is no whole number of voxels
        mesh = voxelize(ambench_bridge(), pitch)
    return HexMesh(mesh.mask, mesh.spacing, (0.0, 0.0, 0.0))


def deflection(result: Result) -> NDArray[np.float64]:
    """Rise of the tops of the ridges by the cut, [11], mm."""
    assert result.displacement_on_plate is not None
    x, _, z = result.points.T
    rise = (result.displacement - result.displacement_on_plate)[:, 2]
    top = z > z.max() - 1e-6
    return np.array([rise[top & (np.abs(x - ridge) < 0.51)].mean() for ridge in RIDGES])


def run(
    pitch: tuple[float, float, float],
    layer: float,
    model: str,
    *,
    strain: float = STRAIN,
    metal: Material = METAL,
    increments: int = 2,
) -> dict[str, Any]:
    """Simulate the bridge, and fit its scale to the first ridge of each alloy."""
    mesh = bridge(pitch)
    process = Process(
        metal,
        layer_height=layer,
        inherent_strain=(strain, strain, strain),
        plasticity=model == "plastic",
        plastic_increments=increments,
        release=[LEGS],
    )
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the overhangs under the beam rise above their layers
        result = simulate(mesh, process)
    seconds = time.process_time() - start
    rise = deflection(result)
    row = {
        "model": model,
        "layer_mm": layer,
        "pitch_mm": pitch,
        "voxels": mesh.num_cells,
        "seconds": round(seconds, 1),
        "strain": strain,
        "deflection_mm": rise.round(5).tolist(),
        "alloys": {},
    }
    for alloy, values in MEASURED.items():
        scale = values[0] / rise[0]
        difference = scale * rise - np.array(values)
        row["alloys"][alloy] = {
            "scale": scale,
            "strain": scale * strain,
            "yield_stress": scale * YIELD if model == "plastic" else None,
            "predicted_mm": (scale * rise).round(4).tolist(),
            "largest_error_mm": float(np.abs(difference).max()),
            "largest_error_of_deflection": float(np.abs(difference).max()) / values[0],
        }
    return row


def table(rows: list[dict[str, Any]]) -> str:
    """Rows as text in Markdown."""
    lines = [
        "| model, layers | alloy | fitted | largest error of ten ridges | time |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        for alloy, fit in row["alloys"].items():
            fitted = f"strain {100 * fit['strain']:.3f} %"
            if fit["yield_stress"]:
                fitted += f", yield stress {fit['yield_stress']:.0f} MPa"
            lines.append(
                f"| {row['model']}, {1000 * row['layer_mm']:.0f} um | {alloy} | {fitted} | "
                f"{fit['largest_error_mm']:.3f} mm, "
                f"{100 * fit['largest_error_of_deflection']:.1f} % | {row['seconds']:.0f} s |"
            )
    return "\n".join(lines)


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Measurement beside prediction, and their difference, for each alloy."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 2, figsize=(9, 6), sharex=True, height_ratios=(2, 1))
    for (upper, lower), (alloy, values) in zip(axes.T, MEASURED.items(), strict=True):
        for row in rows:
            predicted = np.array(row["alloys"][alloy]["predicted_mm"])
            label = f"{row['model']}, {1000 * row['layer_mm']:.0f} µm"
            style = {"elastic": "-", "plastic": "--"}[row["model"]]
            upper.plot(RIDGES, predicted, style, lw=1, label=label)
            lower.plot(RIDGES, predicted - values, style, lw=1)
        upper.plot(RIDGES, values, "ko", ms=4, label="measured")
        upper.plot(RIDGES[0], values[0], "o", mfc="none", mec="r", ms=10, label="fitted")
        upper.set(title=alloy, ylabel="rise of the ridges, mm")
        band = 0.02 * values[0]
        lower.axhspan(-band, band, color="0.92")
        lower.axhline(0, color="k", lw=0.5)
        lower.set(xlabel="x, mm", ylabel="predicted - measured, mm")
    axes[0, 0].legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--layers", type=float, nargs="+", default=[0.2, 0.4, 0.8], metavar="MM")
    models = ("elastic", "plastic")
    add("--models", nargs="+", choices=models, default=list(models))
    add("--pitch", type=float, nargs=3, default=(0.5, 1.25, 0.2), metavar=("X", "Y", "Z"))
    add("--increments", type=int, default=2, help="plastic increments per layer")
    add("--json", type=Path, nargs="+", metavar="FILE", help="write here, or read from several")
    add("--figure", type=Path, metavar="FILE.png")
    add("--from-json", action="store_true", help="read the results instead of simulating")
    options = parser.parse_args()
    torch.set_num_threads(1)
    x, y, z = options.pitch
    if options.from_json:
        rows = [row for file in options.json for row in json.loads(file.read_text())]
    else:
        volume = ambench_bridge().volume
        if abs(volume - 3732.5) > 1e-6:
            raise SystemExit(f"expected a bridge of 3732.5 mm^3 (got {volume})")
        rows = []
        for model in options.models:
            for layer in options.layers:
                rows.append(run((x, y, z), layer, model, increments=options.increments))
                print(json.dumps(rows[-1]), flush=True)
        if options.json is not None:
            options.json[0].write_text(json.dumps(rows, indent=1))
    print(table(rows))
    if options.figure is not None:
        draw(rows, options.figure)


if __name__ == "__main__":
    main()
