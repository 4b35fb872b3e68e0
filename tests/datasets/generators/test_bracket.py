import numpy as np
import pytest
import torch

from flare_mesh.datasets.generators.bracket import Bracket, lattice_cells
from flare_mesh.datasets.generators.brackets_recipe import YOUNG, bracket_cells, solve_bracket
from flare_mesh.mesh import MeshData

BRACKET = Bracket(length=50, height=70, width=20, thickness=5, fillet=4)
CELLS = (30, 2, 3)


@pytest.mark.parametrize("kind", ["hexahedron", "tetra"])
def test_mesh_fills_the_bracket(kind):
    points = torch.from_numpy(BRACKET.points(CELLS))
    mesh = MeshData(points, **{kind: torch.from_numpy(lattice_cells(CELLS, kind))}).check()
    area = 5 * 70 + 5 * 50 - 5 * 5 + (1 - np.pi / 4) * 4**2  # two legs and the fillet
    assert mesh.measures.sum() == pytest.approx(area * 20, rel=1e-3)
    assert (mesh.measures > 0).all()
    assert points[0].tolist() == [0, 70, 0]
    assert points[-1].tolist() == [50, 5, 20]


def test_deflection_against_beam_theory():
    """Two slender beams with a stiff corner: an arm on a leg that bends uniformly."""
    load, leg, width, thickness = 10.0, 60.0, 4.0, 2.0
    bracket = Bracket(leg + thickness / 2, leg + thickness / 2, width, thickness, 0.5)
    found, _ = solve_bracket(bracket, load, (40, 1, 1), "hexahedron")
    stiffness = YOUNG * width * thickness**3 / 12
    tip = load * leg**3 * (1 / 3 + 1) / stiffness
    assert found[-1, 1] == pytest.approx(-tip, rel=0.04)
    assert found[-1, 0] == pytest.approx(-load * leg**3 / 2 / stiffness, rel=0.06)


def test_hexahedra_and_tetrahedra_agree():
    (first, hexahedra), (second, tetrahedra) = (
        solve_bracket(BRACKET, 100.0, CELLS, kind) for kind in ("hexahedron", "tetra")
    )
    assert np.linalg.norm(first - second) < 3e-3 * np.linalg.norm(first)
    inner = BRACKET.points(CELLS)[:, 1] < 60  # away from the edges of the clamped face
    difference = np.linalg.norm(hexahedra[inner] - tetrahedra[inner])
    assert difference < 0.08 * np.linalg.norm(hexahedra[inner])


def test_number_of_nodes():
    for nodes in (495, 1000, 3400):
        assert np.prod(np.array(bracket_cells(BRACKET, nodes)) + 1) == pytest.approx(
            nodes, rel=0.03
        )


def test_legs_shorter_than_the_corner():
    with pytest.raises(ValueError, match="expected legs longer than 9"):
        Bracket(length=9, height=70, width=20, thickness=5, fillet=4)
