"""Convergence of a build as its simulated layers get thinner, with the same strain and voxels.

    python benchmarks/lpbf_layers.py [--layers 4 2 1 0.5 0.25 0.125] [--plasticity]

A wall of 12 x 4 x 12 mm in voxels of 1 x 1 mm, as high as the thinnest layers: the largest
displacement on the plate and after the release, and their difference from the limit of thin layers.
The limit is extrapolated from the two thinnest layers, for an error proportional to the height. The
last columns have voxels as high as each layer.
"""

import argparse
import warnings

import numpy as np
import torch

from lpbf import HexMesh, Material, Process, simulate

SIZE, EDGE = (12.0, 4.0, 12.0), 1.0
METAL = Material("metal", 110_000.0, 0.34, yield_stress=900.0, hardening_modulus=1100.0)


def largest(layer: float, voxel: float, plasticity: bool) -> tuple[float, float]:
    """Largest displacement on the plate and after the release, mm."""
    x, y, z = SIZE
    mask = np.ones((round(x / EDGE), round(y / EDGE), round(z / voxel)), dtype=bool)
    process = Process(METAL, layer_height=layer, plasticity=plasticity, release=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # thin layers rise above their height
        result = simulate(HexMesh.from_mask(mask, (EDGE, EDGE, voxel)), process, tolerance=1e-7)
    assert result.displacement_on_plate is not None
    on_plate, released = (
        float(np.linalg.norm(u, axis=1).max())
        for u in (result.displacement_on_plate, result.displacement)
    )
    return on_plate, released


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = [4.0, 2.0, 1.0, 0.5, 0.25, 0.125]
    parser.add_argument("--layers", type=float, nargs="+", default=default, metavar="MM")
    parser.add_argument("--plasticity", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    heights = sorted(options.layers, reverse=True)
    if len(heights) < 2:
        parser.error("needs two heights for the limit")
    rows = []
    for height in heights:
        fine = largest(height, heights[-1], options.plasticity)
        rows.append((height, *fine, *largest(height, height, options.plasticity)))
        print(f"{height:g} mm: " + ", ".join(f"{u:.5f}" for u in rows[-1][1:]), flush=True)
    found = np.array(rows)
    (thicker, *last), (thinner, *best) = found[-2:, :3]
    limits = np.array(best) + (np.array(best) - last) * thinner / (thicker - thinner)
    print(f"limits: {limits[0]:.5f} mm on the plate, {limits[1]:.5f} mm after the release\n")
    print("| layers | on the plate | after the release | voxel per layer: on the plate | after |")
    print("|---|---|---|---|---|")
    for height, *values in rows:
        off = np.array(values) / np.tile(limits, 2) - 1
        cells = (f"{u:.4f} mm, {100 * o:+.1f} %" for u, o in zip(values, off, strict=True))
        print(f"| {height:g} mm | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
