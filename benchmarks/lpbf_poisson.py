"""Effect of Poisson's ratio on a plastic build with thermal strain.

    python benchmarks/lpbf_poisson.py

The displacement after the release with the Poisson's ratio of IN718 and with one that is 0.05
higher, which is the rise of common alloys from 25 to 900 C. A table that has both values would
change the result by less, since the part ends at 25 C with the lower one.
"""

import argparse
from dataclasses import replace

import numpy as np
import torch

from lpbf import MATERIALS, HexMesh, Process, simulate

RISE = 0.05


def parts() -> dict[str, HexMesh]:
    corner = np.ones((8, 4, 8), dtype=bool)
    corner[2:, :, 3:] = False
    masks = {"block": np.ones((6, 6, 6)), "wall": np.ones((10, 1, 10)), "L": corner}
    return {name: HexMesh.from_mask(mask, 1.0) for name, mask in masks.items()}


def displacement(mesh: HexMesh, rise: float) -> np.ndarray:
    metal = MATERIALS["IN718"]
    metal = replace(metal, poisson_ratio=metal.poisson_ratio + rise)
    process = Process.preset(
        "IN718", material=metal, strain="thermal", plasticity=True, release=True, layer_height=1.0
    )
    return simulate(mesh, process).displacement


def main() -> None:
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    torch.set_num_threads(1)
    print("| part | largest displacement, mm | change of it | root mean square of the change |")
    print("|---|---|---|---|")
    for name, mesh in parts().items():
        low, high = displacement(mesh, 0.0), displacement(mesh, RISE)
        largest = [float(np.linalg.norm(u, axis=1).max()) for u in (low, high)]
        rest = np.linalg.norm(high - low) / np.linalg.norm(low)
        assert 0 < largest[0] < 1
        print(
            f"| {name} | {largest[0]:.4f} | {100 * (largest[1] / largest[0] - 1):+.1f} % | "
            f"{100 * rest:.1f} % |"
        )


if __name__ == "__main__":
    main()
