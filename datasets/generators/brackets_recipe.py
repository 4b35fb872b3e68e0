"""Recipe of L-brackets under load."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from flare_mesh.datasets.generators.bracket import Bracket, lattice_cells, lattice_mesh
from flare_mesh.datasets.generators.linear_solid import LinearSolid, von_mises_stress
from flare_mesh.datasets.generators.mesh_recipe import MeshRecipe, SolvedCase
from flare_mesh.datasets.generators.recipe import Sample, option

YOUNG, POISSON = 210_000.0, 0.3  # steel, MPa


@dataclass(frozen=True)
class BracketsRecipe(MeshRecipe):
    """L-brackets of steel under load: linear elasticity in 3D, hexahedra or tetrahedra.

    div sigma = 0 with E = 210,000 MPa and nu = 0.3. The upper end of the upright leg is clamped,
    and the load pulls the end of the arm downwards, spread uniformly over its face. Thickness (4 to
    8 mm), width (20 to 40 mm), lengths of leg and arm (40 to 80 mm), radius of the fillet (3 to
    6 mm) and load (50 to 400 N) are uniform, and the number of nodes is log-uniform. Quadratic
    elements (``LinearSolid``), of which the vertices are written; tetrahedra in files of odd
    numbers.

    Writes ``brackets/bracket_000.vtu`` and so on, with the fields ``displacement`` [N, 3] in mm and
    ``von_mises`` [N] in MPa, and ``brackets/cases.csv`` with the load in N, and thickness and width
    in mm. The other lengths are in the meshes only.

    Args:
        min_nodes: Nodes of the smallest meshes.
        max_nodes: Nodes of the largest meshes.
    """

    name: ClassVar = "brackets"
    units: ClassVar = {"displacement": "mm", "von_mises": "MPa"}
    table: ClassVar = ("load", "thickness", "width")

    min_nodes: int = option(495)
    max_nodes: int = option(3400)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_nodes(100)

    def case_name(self, sample: Sample) -> str:
        return f"bracket_{sample.number:03d}"

    def solve(self, sample: Sample) -> SolvedCase:
        rng = self.rng(sample)
        load = round(rng.uniform(50, 400), 1)
        length, height, width, thickness, fillet = (
            round(rng.uniform(low, high), 2)
            for low, high in ((40, 80), (40, 80), (20, 40), (4, 8), (3, 6))
        )
        bracket = Bracket(length, height, width, thickness, fillet)
        nodes = math.exp(rng.uniform(math.log(self.min_nodes), math.log(self.max_nodes)))
        kind = "tetra" if sample.number % 2 else "hexahedron"
        path, through, across = bracket_cells(bracket, nodes)
        step = (through + 1) * (across + 1)
        lowest, highest = math.ceil(self.min_nodes / step) - 1, self.max_nodes // step - 1
        cells = (min(max(path, lowest), highest), through, across)
        points = bracket.points(cells)
        displacement, stress = solve_bracket(bracket, load, cells, kind)
        return SolvedCase(
            points,
            {kind: lattice_cells(cells, kind)},
            {"displacement": displacement, "von_mises": von_mises_stress(stress)},
            row={"load": load, "thickness": thickness, "width": width},
        )


def bracket_cells(bracket: Bracket, nodes: float) -> tuple[int, int, int]:
    """Cells along the path, through the thickness and the width, of about that many nodes.

    Cells are half as long along the path as across the width.
    """
    through = 2 if nodes < 1300 else 3
    path = bracket.length + bracket.height
    across = max(2, round(math.sqrt(nodes / (through + 1) * bracket.width / path / 2)) - 1)
    return round(nodes / (through + 1) / (across + 1)) - 1, through, across


def solve_bracket(
    bracket: Bracket, load: float, cells: tuple[int, int, int], kind: str
) -> tuple[np.ndarray, np.ndarray]:
    """Displacement [N, 3] in mm and stress [N, 3, 3] in MPa at the points of the lattice.

    Args:
        bracket: The bracket, in mm.
        load: Force on the end of the arm, downwards, N.
        cells: Numbers of cells of the lattice.
        kind: ``"hexahedron"`` or ``"tetra"``.

    Raises:
        RuntimeError: If the solver fails.
    """
    mesh = lattice_mesh(bracket.points(cells), cells, kind)
    solid = LinearSolid(mesh, YOUNG, POISSON)
    end = mesh.facets_satisfying(lambda x: np.isclose(x[0], bracket.length), boundaries_only=True)
    force = solid.surface_force(end, np.array([0.0, -load, 0.0]))
    x, y, _ = solid.basis.doflocs
    clamped = np.repeat(np.isclose(y, bracket.height)[:, None], 3, axis=1)
    found = solid.solve(force, clamped, bracket.along(x, y).round(6))
    return solid.at_vertices(found), solid.stress(found)
