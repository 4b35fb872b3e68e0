"""A part with generated supports: on its plate, cut from the plate, and without the supports.

    python examples/lpbf_supports.py [docs/images/lpbf_supports.png] [PITCH_MM]

About a minute on two cores.
"""

import sys

import numpy as np
import pyvista

from flare_mesh.visualize.offscreen import offscreen_plotter
from lpbf import HexMesh, Process, Result, simulate
from lpbf.simulate.summary import summarize, summary_text


def bracket(pitch: float) -> HexMesh:
    """A post of 24 mm with a flat arm, and a slope of 30 degrees from the horizontal below it."""
    shape = (round(36 / pitch), round(12 / pitch), round(24 / pitch))
    x, _, z = (np.indices(shape) + 0.5) * pitch
    arm = z > 20
    slope = (x < 24) & (z > 4) & (np.abs(z - 4 - np.tan(np.radians(30)) * (x - 6)) < 2)
    return HexMesh.from_mask((x < 6) | arm | slope, pitch)


Grid = pyvista.UnstructuredGrid


def grids(result: Result, factor: float) -> list[tuple[str, Grid, Grid | None]]:
    """Name, deformed part and deformed supports of each state, coloured by the length of u."""
    supports = result.supports
    assert supports is not None
    assert result.displacement_on_plate is not None

    def grid(mesh: HexMesh, u: np.ndarray) -> Grid:
        points = mesh.points + factor * u
        out = Grid({pyvista.CellType.HEXAHEDRON: mesh.cells}, points)
        out["displacement, mm"] = np.linalg.norm(u, axis=1)
        return out

    cut, off = result.release
    states = [
        ("on the plate", result.displacement_on_plate, supports.displacement_on_plate),
        ("cut from the plate", cut.displacement, supports.displacement),
        ("supports off", off.displacement, None),
    ]
    return [
        (name, grid(result.mesh, u), None if v is None else grid(supports.mesh, v))
        for name, u, v in states
    ]


def main(path: str, pitch: float) -> None:
    process = Process.preset("316L", heat=None, supports=True, release=True)
    result = simulate(bracket(pitch), process)
    print(summary_text(summarize(result)), result.report, sep="\n")
    largest = max(np.linalg.norm(state.displacement, axis=1).max() for state in result.release)
    factor = 1.5 / largest
    with offscreen_plotter(path, shape=(1, 3), window_size=(2100, 760)) as plotter:
        for column, (name, part, supports) in enumerate(grids(result, factor)):
            plotter.subplot(0, column)
            text = name if column else f"{name} (displacement x {factor:.0f})"
            plotter.add_text(text, font_size=14, color="black")
            plotter.add_mesh(
                part,
                cmap="viridis",
                clim=(0, largest),
                show_edges=True,
                edge_color="#606060",
                line_width=0.5,
                show_scalar_bar=column == 1,
                scalar_bar_args={"color": "black", "height": 0.1, "n_labels": 2, "fmt": "%.2f"},
            )
            if supports is not None:
                plotter.add_mesh(
                    supports, color="#c4c4c4", ambient=0.3, show_edges=True, edge_color="#a0a0a0"
                )
            plotter.view_vector((-0.45, -1.0, 0.3), viewup=(0, 0, 1))
        plotter.link_views()
    print(path)


if __name__ == "__main__":
    main(
        sys.argv[1] if len(sys.argv) > 1 else "docs/images/lpbf_supports.png",
        float(sys.argv[2]) if len(sys.argv) > 2 else 1.0,
    )
