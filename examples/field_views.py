"""Pictures of fields: the ones in docs/visualize.md.

    python examples/field_views.py [docs/images]

About a minute on two cores.
"""

import math
import sys
import time
from pathlib import Path

import torch

from flare_mesh import MeshData
from flare_mesh.visualize import animate, plot_comparison, plot_field
from flare_mesh.visualize.picture import new_plotter, save_picture
from lpbf import Process, simulate, voxelize
from lpbf.core.procedural_part import procedural_part


def flow_around_a_cylinder(rings: int = 40, rays: int = 120) -> MeshData:
    """Plane potential flow: 1 at infinity, around a cylinder of radius 1."""
    r = 1 + 3 * torch.linspace(0, 1, rings) ** 1.5
    angle = torch.linspace(0, 2 * math.pi, rays + 1)[:-1]
    r, angle = (one.flatten() for one in torch.meshgrid(r, angle, indexing="ij"))
    node = torch.arange(rings * rays).view(rings, rays)
    ahead = node.roll(-1, 1)
    quads = torch.stack([node[:-1], node[1:], ahead[1:], ahead[:-1]], -1).view(-1, 4)
    mesh = MeshData(torch.stack([r * angle.cos(), r * angle.sin()], 1), quad=quads)
    velocity = [1 - (2 * angle).cos() / r**2, -(2 * angle).sin() / r**2]
    mesh.velocity = torch.stack(velocity, 1)
    mesh.pressure = (1 - mesh.velocity.square().sum(1)) / 2
    mesh.units = {"velocity": "m/s", "pressure": "Pa"}
    return mesh


if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/images")
    start = time.perf_counter()
    part = voxelize(procedural_part(4, "bracket", size=(40.0, 48.0)), 2.0)
    options = {"heat": None, "release": True}
    plastic = simulate(part, Process.preset("Ti-6Al-4V", plasticity=True, **options), history=True)
    elastic = simulate(part, Process.preset("Ti-6Al-4V", plasticity=False, **options))
    flow = flow_around_a_cylinder()
    print(f"simulated after {time.perf_counter() - start:.0f} s", flush=True)

    plotter = new_plotter("views.png", shape=(2, 4), window_size=[2400, 1080])
    deformed = {"field": "von_mises", "warp": "displacement", "title": "Deformed"}
    views = [
        (plastic, deformed),
        (plastic, {"field": "stress", "component": "zz", "clip": "x", "title": "Clipped"}),
        (plastic, {"field": "von_mises", "slice": ["x", "y", "z=2"], "title": "Slices"}),
        (plastic, {"field": "von_mises", "threshold": 600, "title": "Threshold"}),
        (plastic, {"field": "displacement", "glyphs": "displacement", "title": "Arrows"}),
        (plastic, {"field": "displacement", "contours": 4, "title": "Contours"}),
        (flow, {"field": "velocity", "streamlines": "velocity", "title": "Streamlines"}),
        (flow, {"field": "pressure", "contours": 9, "title": "Lines of equal pressure"}),
    ]
    for number, (mesh, shown) in enumerate(views):
        plotter.subplot(*divmod(number, 4))
        plot_field(mesh, plotter=plotter, **shown)
    save_picture(plotter, folder / "field_views.png")
    plotter.close()

    plot_comparison(
        plastic,
        "displacement",
        elastic,
        warp="displacement",
        names=("plastic", "elastic", "difference"),
        path=folder / "field_comparison.png",
    )
    animate(
        plastic,
        "von_mises",
        warp="displacement",
        path=folder / "build.gif",
        fps=4,
        size=(480, 400),
        title="Build and release",
    )
    print(f"pictures in {folder} after {time.perf_counter() - start:.0f} s")
