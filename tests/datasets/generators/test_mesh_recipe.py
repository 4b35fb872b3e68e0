import csv
from itertools import starmap

import numpy as np
import pytest

from flare_mesh import read_mesh
from flare_mesh.datasets import MeshFolder
from flare_mesh.datasets import generate as command
from flare_mesh.datasets.generate import generate
from flare_mesh.datasets.generators.plane_mesh import mesh_plane
from flare_mesh.datasets.generators.plane_region import Ellipse, PlaneRegion
from flare_mesh.datasets.generators.plates_recipe import YOUNG, solve_plate
from flare_mesh.datasets.generators.recipe import Sample
from flare_mesh.datasets.generators.recipes import (
    BracketsRecipe,
    ObstacleFlowRecipe,
    PlatesRecipe,
)

BRACKETS = BracketsRecipe(num=3, min_nodes=100, max_nodes=160)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A folder of three sets."""
    root = tmp_path_factory.mktemp("set")
    sizes = {"num": 1, "min_nodes": 300, "max_nodes": 320}
    with pytest.MonkeyPatch.context() as patch:  # without the start of processes
        patch.setattr(command, "run_tasks", lambda function, tasks, _: starmap(function, tasks))
        for recipe in (BRACKETS, PlatesRecipe(**sizes), ObstacleFlowRecipe(**sizes)):
            generate(recipe, root)
    return root


@pytest.fixture
def brackets(root):
    return root / "brackets"


def test_folder_of_brackets(brackets):
    names = [f"bracket_{i:03d}" for i in range(3)]
    assert sorted(p.name for p in brackets.iterdir()) == [*(f"{n}.vtu" for n in names), "cases.csv"]
    assert [*read_mesh(brackets / "bracket_000.vtu").cells] == ["hexahedron"]
    mesh = read_mesh(brackets / "bracket_001.vtu")
    assert [*mesh.cells] == ["tetra"]
    assert mesh.units == {"displacement": "mm", "von_mises": "MPa"}
    rows = list(csv.DictReader((brackets / "cases.csv").read_text().splitlines()))
    assert [row["case"] for row in rows] == names
    size = mesh.pos.amax(0) - mesh.pos.amin(0)
    assert float(rows[1]["width"]) == pytest.approx(size[2].item(), rel=1e-6)
    assert 50 <= float(rows[1]["load"]) <= 400
    data = MeshFolder(
        brackets,
        None,
        inputs=["load", "thickness", "width"],
        targets=["displacement", "von_mises"],
        table="cases.csv",
    )
    assert len(data) == 3
    assert data[1].y.shape == (len(mesh.pos), 4)
    assert all(100 <= len(case.pos) <= 160 for case in data)


def test_displacement_is_that_of_the_sample(brackets):
    (sample,) = BRACKETS.make([Sample(0, 2)])
    mesh = read_mesh(brackets / "bracket_002.vtu")
    np.testing.assert_allclose(mesh.displacement, sample["fields:displacement"], rtol=1e-6)
    (other,) = BracketsRecipe(seed=1, min_nodes=100, max_nodes=160).make([Sample(0, 2)])
    assert other["row:load"] != sample["row:load"]


def test_plates_have_their_numbers_in_their_names(root):
    (file,) = (root / "plates").iterdir()
    data = MeshFolder(
        root / "plates",
        None,
        inputs=["load", "angle", "thickness"],
        targets=["displacement", "von_mises"],
        name_pattern=r"load(?P<load>[\d.]+)_angle(?P<angle>[\d.]+)_thickness(?P<thickness>[\d.]+)",
    )
    load, angle, thickness = data[0].x[0].tolist()
    assert file.stem == f"plate_000_load{load:.1f}_angle{angle:.1f}_thickness{thickness:.2f}"
    assert data[0].y.shape == (len(data[0].pos), 3)


def test_flows_have_their_speed_as_field_data(root):
    data = MeshFolder(
        root / "obstacle_flow", None, inputs=["speed"], targets=["velocity", "pressure"]
    )
    case = data[0]
    assert case.x.shape == (len(case.pos), 1)
    inlet = case.pos[:, 0] == 0
    height = case.pos[:, 1].max()
    y = case.pos[inlet, 1]
    parabola = 6 * case.x[0, 0] * y * (height - y) / height**2
    np.testing.assert_allclose(case.y[inlet, 0], parabola, rtol=1e-4, atol=1e-4)


def test_a_hole_concentrates_the_stress_as_in_kirsch_plate():
    """Three times the mean stress in a wide plate (Kirsch 1898); 3.03 for this width (Howland)."""
    region = PlaneRegion(100.0, 100.0, (Ellipse((50.0, 50.0), (5.0, 5.0)),))
    mesh = mesh_plane(region, 500, np.random.default_rng(0))
    displacement, stress = solve_plate(mesh, 100.0, np.array([1000.0, 0.0]))
    assert stress[:, 0, 0].max() == pytest.approx(30.3, rel=0.04)
    end = np.isclose(mesh.points[:, 0], 100)
    assert displacement[end, 0].mean() == pytest.approx(10 * 100 / YOUNG, rel=0.03)


def test_bad_sizes():
    with pytest.raises(ValueError, match=r"100 <= --min-nodes <= --max-nodes \(got 300 and 200\)"):
        BracketsRecipe(min_nodes=300, max_nodes=200)
