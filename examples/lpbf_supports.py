"""A part with generated supports: on its plate, cut from the plate, and without the supports.

    python examples/lpbf_supports.py [docs/images/lpbf_supports.png] [PITCH_MM]

About a minute on two cores.
"""

import sys
from collections.abc import Iterator

import numpy as np
import torch

from flare_mesh import MeshData
from flare_mesh.visualize import plot_field
from flare_mesh.visualize.picture import new_plotter, save_picture
from lpbf import HexMesh, Process, Result, simulate
from lpbf.simulate.summary import summarize, summary_text

VIEW = (-0.45, -1.0, 0.3)  # towards the viewer


def bracket(pitch: float) -> HexMesh:
    """A post of 24 mm with a flat arm, and a slope of 30 degrees from the horizontal below it."""
    shape = (round(36 / pitch), round(12 / pitch), round(24 / pitch))
    x, _, z = (np.indices(shape) + 0.5) * pitch
    arm = z > 20
    slope = (x < 24) & (z > 4) & (np.abs(z - 4 - np.tan(np.radians(30)) * (x - 6)) < 2)
    return HexMesh.from_mask((x < 6) | arm | slope, pitch)


def states(result: Result) -> Iterator[tuple[str, MeshData, MeshData | None]]:
    """Name, part and supports of each state, with their displacement."""
    supports = result.supports
    assert supports is not None
    assert result.displacement_on_plate is not None

    def moved(voxels: HexMesh, u: np.ndarray) -> MeshData:
        mesh = MeshData(torch.from_numpy(voxels.points), hexahedron=torch.from_numpy(voxels.cells))
        mesh.displacement = torch.from_numpy(u)
        mesh.units = {"displacement": "mm"}
        return mesh

    cut, off = result.release
    on_plate = moved(supports.mesh, supports.displacement_on_plate)
    yield "On the plate", moved(result.mesh, result.displacement_on_plate), on_plate
    cut_supports = moved(supports.mesh, supports.displacement)
    yield "Cut from the plate", moved(result.mesh, cut.displacement), cut_supports
    yield "Supports off", moved(result.mesh, off.displacement), None


def main(path: str, pitch: float) -> None:
    process = Process.preset("316L", heat=None, supports=True, release=True)
    result = simulate(bracket(pitch), process)
    print(summary_text(summarize(result)), result.report, sep="\n")
    largest = max(np.linalg.norm(state.displacement, axis=1).max() for state in result.release)
    options = {
        "warp": "displacement",
        "factor": float(f"{1.5 / largest:.1g}"),
        "clim": (0.0, largest),
        "view": VIEW,
    }
    plotter = new_plotter(path, shape=(1, 3), window_size=[2100, 800])
    for column, (name, part, supports) in enumerate(states(result)):
        plotter.subplot(0, column)
        plot_field(part, "displacement", title=name, plotter=plotter, **options)
        if supports is not None:
            grid = supports.to_pyvista().warp_by_vector("displacement", factor=options["factor"])
            plotter.add_mesh(grid, color="#c4c4c4", show_edges=True, edge_opacity=0.25, ambient=0.3)
    plotter.link_views()
    save_picture(plotter, path)
    plotter.close()
    print(path)


if __name__ == "__main__":
    main(
        sys.argv[1] if len(sys.argv) > 1 else "docs/images/lpbf_supports.png",
        float(sys.argv[2]) if len(sys.argv) > 2 else 1.0,
    )
