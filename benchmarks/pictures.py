"""Time of the first picture of a mesh, and of other views of it.

    python benchmarks/pictures.py [50000 1000000]

Prints seconds of wall time and of CPU time, without the imports.
"""

import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from flare_mesh import MeshData
from flare_mesh.visualize import plot_field
from lpbf import HexMesh

VIEWS = [{}, {"warp": "u"}, {"slice": "z"}, {"clip": "y"}, {"contours": 5}, {"glyphs": "u"}]


def cube(nodes: int) -> MeshData:
    """A cube of about ``nodes`` nodes with a vector field."""
    side = round(nodes ** (1 / 3)) - 1
    block = HexMesh.from_mask(np.ones((side, side, side)), 1.0)
    pos = torch.from_numpy(block.points).float()
    mesh = MeshData(pos, hexahedron=torch.from_numpy(block.cells))
    mesh.u = torch.sin(3 * pos / side)
    return mesh


if __name__ == "__main__":
    import pyvista  # noqa: F401

    with TemporaryDirectory() as folder:
        for nodes in map(int, sys.argv[1:] or ["50000", "1000000"]):
            mesh = cube(nodes)
            for view in VIEWS:
                wall, cpu = time.perf_counter(), time.process_time()
                plot_field(mesh, "u", path=Path(folder) / "picture.png", **view)
                wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
                print(f"{mesh.num_nodes:9,} nodes  {view!s:20} {wall:6.2f} s, CPU {cpu:6.2f} s")
