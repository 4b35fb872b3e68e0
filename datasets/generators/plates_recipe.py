"""Recipe of plates with holes."""

import math
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from flare_mesh.datasets.generators.linear_solid import LinearSolid, von_mises_stress
from flare_mesh.datasets.generators.mesh_recipe import MeshRecipe, SolvedCase
from flare_mesh.datasets.generators.plane_mesh import TriangleMesh, mesh_plane
from flare_mesh.datasets.generators.plane_region import PlaneRegion, draw_holes
from flare_mesh.datasets.generators.recipe import Sample, option

YOUNG, POISSON = 70_000.0, 0.33  # aluminium, MPa


class _Load(NamedTuple):
    force: float  # N
    angle: float  # degrees
    thickness: float  # mm


@dataclass(frozen=True)
class PlatesRecipe(MeshRecipe):
    """Plates of aluminium with one to three holes: plane stress, triangles.

    div sigma = 0 with E = 70,000 MPa and nu = 0.33. The left side is clamped, and a force of 200 to
    2,000 N, spread uniformly over the right side, pulls at an angle of 0 (tension) to 90 degrees
    (bending) to the length. Thickness (1 to 4 mm), length (80 to 160 mm) and height (40 to 80 mm)
    are uniform; the holes are ellipses at random places, and the number of nodes is log-uniform.
    Quadratic triangles (``LinearSolid``, ``mesh_plane``), of which the corners are written.

    Writes ``plates/plate_000_load1234.5_angle67.8_thickness1.23.vtu`` and so on, with the fields
    ``displacement`` [N, 2] in mm and ``von_mises`` [N] in MPa. The numbers of a case are in the
    names of the files only.

    Args:
        num: Cases.
        min_nodes: Nodes of the smallest meshes, about.
        max_nodes: Nodes of the largest meshes, about.
    """

    name: ClassVar = "plates"
    units: ClassVar = {"displacement": "mm", "von_mises": "MPa"}

    num: int = option(120, role="count")
    min_nodes: int = option(400)
    max_nodes: int = option(2500)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_nodes(300)

    def case_name(self, sample: Sample) -> str:
        load = _draw_load(self.rng(sample))
        return (
            f"plate_{sample.number:03d}_load{load.force:.1f}_angle{load.angle:.1f}"
            f"_thickness{load.thickness:.2f}"
        )

    def solve(self, sample: Sample) -> SolvedCase:
        rng = self.rng(sample)
        load = _draw_load(rng)
        length, height = rng.uniform(80, 160), rng.uniform(40, 80)
        holes = draw_holes(
            rng,
            int(rng.integers(1, 4)),
            box=(0, 0, length, height),
            sizes=(0.1 * height, 0.22 * height),
            gap=0.07 * height,
            slenderness=2.0,
        )
        nodes = math.exp(rng.uniform(math.log(self.min_nodes), math.log(self.max_nodes)))
        mesh = mesh_plane(PlaneRegion(length, height, holes), nodes, rng)
        turn = math.radians(load.angle)
        force = load.force / load.thickness * np.array([math.cos(turn), math.sin(turn)])
        displacement, stress = solve_plate(mesh, length, force)
        return SolvedCase(
            mesh.points,
            {"triangle": mesh.triangles},
            {"displacement": displacement, "von_mises": von_mises_stress(stress)},
        )


def _draw_load(rng: np.random.Generator) -> _Load:
    return _Load(
        round(rng.uniform(200, 2000), 1), round(rng.uniform(0, 90), 1), round(rng.uniform(1, 4), 2)
    )


def solve_plate(
    mesh: TriangleMesh, length: float, force: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Displacement [N, 2] in mm and stress [N, 2, 2] in MPa of a plate that is clamped at x = 0.

    Args:
        mesh: Triangles, in mm.
        length: Place of the loaded side.
        force: Force on that side per thickness, [2], N/mm.

    Raises:
        RuntimeError: If the solver fails.
    """
    triangles = mesh.for_scikit_fem()
    solid = LinearSolid(triangles, YOUNG, POISSON)
    end = triangles.facets_satisfying(lambda x: np.isclose(x[0], length), boundaries_only=True)
    clamped = np.repeat(np.isclose(solid.basis.doflocs[0], 0)[:, None], 2, axis=1)
    found = solid.solve(solid.surface_force(end, force), clamped)
    return solid.at_vertices(found), solid.stress(found)
