"""Twelve simulated parts, cut from the plate and coloured by their z displacement.

    python examples/lpbf_gallery.py [docs/images/lpbf_gallery.png] [PITCH_MM]

About a minute on two cores.
"""

import sys
import time

import torch

from flare_mesh import MeshData
from flare_mesh.visualize import plot_gallery
from lpbf import Process, simulate, voxelize
from lpbf.core.procedural_part import procedural_part

# Family and seed of each part.
PARTS = {
    "flange": ("flange", 2),
    "ribs": ("ribs", 4),
    "plate": ("plate", 2),
    "slit ring": ("tube", 3),
    "vault": ("arch", 6),
    "drilled tube": ("tube", 4),
    "octagonal block": ("block", 4),
    "channel, upright": ("channel", 1),
    "bracket": ("bracket", 4),
    "channel": ("channel", 7),
    "shaft": ("shaft", 2),
    "plate on edge": ("plate", 0),
}
SIZE = (40.0, 48.0)

if __name__ == "__main__":
    path = sys.argv[1] if len(sys.argv) > 1 else "docs/images/lpbf_gallery.png"
    pitch = float(sys.argv[2]) if len(sys.argv) > 2 else 1.25
    process = Process.preset("Ti-6Al-4V", heat=None, release=True)
    start = time.perf_counter()
    shown = {}
    for name, (family, seed) in PARTS.items():
        mesh = voxelize(procedural_part(seed, family, size=SIZE), pitch)
        result = simulate(mesh, process)
        cells = torch.from_numpy(result.cells)
        data = MeshData(torch.from_numpy(result.points), hexahedron=cells)
        shown[name] = data, torch.from_numpy(result.displacement)
        print(f"{name:<18}{mesh.num_nodes:6,} nodes, {result.report}", flush=True)
    title = "Ti-6Al-4V, elastic inherent strain, cut from the plate"
    plot_gallery(shown, path=path, title=title)
    print(f"{path} after {time.perf_counter() - start:.0f} s")
