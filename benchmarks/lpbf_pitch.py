"""Dependence of a build on the pitch of its voxels, with layers of 0.4 mm and of one row of voxels.

    python benchmarks/lpbf_pitch.py [--pitches 0.4 0.5 1 2]

The largest displacement of three parts after the release, elastic, and its difference from that in
the finest voxels.
"""

import argparse
import warnings

import numpy as np
import torch
import trimesh

from lpbf import Process, simulate, voxelize
from lpbf.core.procedural_part import procedural_part


def parts() -> dict[str, trimesh.Trimesh]:
    foot = trimesh.creation.box((24, 8, 4)).apply_translation((0, 0, 2))
    back = trimesh.creation.box((2, 8, 12)).apply_translation((-11, 0, 6))
    return {
        "wall": trimesh.creation.box((24, 4, 12)),
        "L": trimesh.util.concatenate([foot, back]),
        "plate": procedural_part(2, "plate", size=(24.0, 24.0)),
    }


def largest(part: trimesh.Trimesh, edges: tuple[float, float, float]) -> float:
    """Largest displacement after the release, mm."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # voxels that hold more or less than the part
        result = simulate(voxelize(part, edges), Process(release=True), tolerance=1e-7)
    return float(np.linalg.norm(result.displacement, axis=1).max())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pitches", type=float, nargs="+", default=[0.4, 0.5, 1.0, 2.0])
    pitches = sorted(parser.parse_args().pitches)
    torch.set_num_threads(1)
    rows = {}
    for pitch in pitches:
        for edges in dict.fromkeys([Process().voxel_size(pitch), (pitch, pitch, pitch)]):
            rows[edges] = [largest(part, edges) for part in parts().values()]
    finest = next(iter(rows.values()))
    print(f"| voxels, mm | {' | '.join(parts())} |\n|---|---|---|---|")
    for edges, values in rows.items():
        cells = (
            f"{value:.4f} mm, {100 * (value / best - 1):+.1f} %"
            for value, best in zip(values, finest, strict=True)
        )
        print(f"| {' x '.join(f'{edge:g}' for edge in edges)} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
