"""Recipe of flows past obstacles."""

import math
from dataclasses import dataclass
from typing import ClassVar

from flare_mesh.datasets.generators.mesh_recipe import MeshRecipe, SolvedCase
from flare_mesh.datasets.generators.plane_mesh import mesh_plane
from flare_mesh.datasets.generators.plane_region import PlaneRegion, draw_holes
from flare_mesh.datasets.generators.recipe import Sample, option
from flare_mesh.datasets.generators.stokes_flow import solve_stokes

VISCOSITY = 1.4  # glycerine, Pa s


@dataclass(frozen=True)
class ObstacleFlowRecipe(MeshRecipe):
    """Slow flow of glycerine through a channel past one to four obstacles: Stokes, triangles.

    mu Laplace u = grad p, div u = 0 with mu = 1.4 Pa s. The inflow is parabolic with a mean speed
    of 1 to 10 mm/s; the fluid sticks to the walls and obstacles, and leaves at a pressure of zero.
    Length (100 to 160 mm) and height (30 to 50 mm) of the channel are uniform; the obstacles are
    ellipses at random places, and the number of nodes is log-uniform. Taylor-Hood elements
    (``solve_stokes``, ``mesh_plane``), of which the corners are written.

    Writes ``obstacle_flow/flow_000.vtu`` and so on, with the fields ``velocity`` [N, 2] in mm/s and
    ``pressure`` [N] in Pa, and the mean speed of the inflow, ``speed`` in mm/s, as field data.

    Args:
        num: Cases.
        min_nodes: Nodes of the smallest meshes, about.
        max_nodes: Nodes of the largest meshes, about.
    """

    name: ClassVar = "obstacle-flow"
    units: ClassVar = {"velocity": "mm/s", "pressure": "Pa", "speed": "mm/s"}

    num: int = option(120, role="count")
    min_nodes: int = option(500)
    max_nodes: int = option(2500)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_nodes(300)

    def case_name(self, sample: Sample) -> str:
        return f"flow_{sample.number:03d}"

    def solve(self, sample: Sample) -> SolvedCase:
        rng = self.rng(sample)
        speed = round(rng.uniform(1, 10), 2)
        length, height = rng.uniform(100, 160), rng.uniform(30, 50)
        obstacles = draw_holes(
            rng,
            int(rng.integers(1, 5)),
            box=(0.15 * length, 0, 0.8 * length, height),
            sizes=(0.1 * height, 0.25 * height),
            gap=0.08 * height,
            slenderness=2.0,
        )
        nodes = math.exp(rng.uniform(math.log(self.min_nodes), math.log(self.max_nodes)))
        mesh = mesh_plane(PlaneRegion(length, height, obstacles), nodes, rng)
        velocity, pressure = solve_stokes(mesh, length, height, speed, VISCOSITY)
        return SolvedCase(
            mesh.points,
            {"triangle": mesh.triangles},
            {"velocity": velocity, "pressure": pressure},
            numbers={"speed": speed},
        )
