import csv
from itertools import starmap

import numpy as np
import pytest

from flare_mesh import read_mesh
from flare_mesh.datasets import MeshFolder
from flare_mesh.datasets import generate as command
from flare_mesh.datasets.generate import generate
from flare_mesh.datasets.generators.recipe import Sample
from flare_mesh.datasets.generators.recipes import BracketsRecipe

BRACKETS = BracketsRecipe(num=3, min_nodes=100, max_nodes=160)


@pytest.fixture(scope="module")
def brackets(tmp_path_factory):
    root = tmp_path_factory.mktemp("set")
    with pytest.MonkeyPatch.context() as patch:  # without the start of processes
        patch.setattr(command, "run_tasks", lambda function, tasks, _: starmap(function, tasks))
        generate(BRACKETS, root)
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


def test_bad_sizes():
    with pytest.raises(ValueError, match=r"100 <= --min-nodes <= --max-nodes \(got 300 and 200\)"):
        BracketsRecipe(min_nodes=300, max_nodes=200)
