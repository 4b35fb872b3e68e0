"""Time of the first picture of a mesh in a new process, and of other views after it.

    python benchmarks/pictures.py [50000 1000000] [--first]

Prints seconds of wall time and of CPU time after the imports of flare_mesh and PyVista, behind a
check that the picture shows the field. The first picture also loads PyVista's plotter and OpenGL.
--first leaves out the other views.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyvista
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


def check(picture: Path) -> None:
    """The picture has the colours of the field in a sixth of its area at least."""
    pixels = np.asarray(pyvista.read(picture).point_data.active_scalars)[:, :3].astype(int)
    coloured = np.ptp(pixels, axis=1) > 40
    assert coloured.mean() > 1 / 6, "the picture does not show the field"
    assert len(np.unique(pixels[coloured], axis=0)) > 200, "the picture has few colours"


def draw(mesh: MeshData, picture: Path, **view) -> tuple[float, float]:
    """Wall time and CPU time of a picture, s."""
    wall, cpu = time.perf_counter(), time.process_time()
    plot_field(mesh, "u", path=picture, **view)
    return time.perf_counter() - wall, time.process_time() - cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("nodes", nargs="*", type=int, default=[50_000, 1_000_000])
    parser.add_argument("--first", action="store_true")
    args = parser.parse_args()
    if len(args.nodes) > 1:
        for nodes in args.nodes:
            options = ["--first"] * args.first
            subprocess.run([sys.executable, __file__, str(nodes), *options], check=True)
        return
    mesh = cube(args.nodes[0])
    with TemporaryDirectory() as folder:
        picture = Path(folder) / "picture.png"
        for number, view in enumerate([{}] if args.first else [{}, *VIEWS]):
            wall, cpu = draw(mesh, picture, **view)
            if not view:
                check(picture)
            name = str(view) if number else "first picture"
            print(
                f"{mesh.num_nodes:9,} nodes  {name:20} {wall:6.2f} s, CPU {cpu:6.2f} s", flush=True
            )


if __name__ == "__main__":
    main()
