import json

import pytest
import torch

from flare_mesh import MeshData
from flare_mesh.cases import CaseRecipe
from flare_mesh.cases.recipe import stack_fields
from flare_mesh.testing import mixed_mesh

RECIPE = CaseRecipe(
    dataset="MeshFolder",
    inputs={"load_in": 1, "T_in": 2},
    targets={"T_out": 4},
    units={"T_out": "K"},
    window=(3, 4),
    on="cells",
    weights=True,
    allow=("unused_nodes",),
    name_pattern=r"_(?P<load>\d+)",
    table="loads.csv",
    pos_dim=2,
    in_channels=3,
    features=["build_features", {"knn_edges": {"k": 3}}],
    grid_shape=(4, 5),
)


def test_a_recipe_is_restored_from_json():
    info = json.loads(json.dumps({"pitch": 2.0, "recipe": RECIPE.to_dict()}))
    found = CaseRecipe.from_info(info, {}, {})
    assert found.info == info
    assert found.to_dict() == RECIPE.to_dict()
    info["recipe"] |= {"window": None, "step": -1}
    assert CaseRecipe.from_info(info, {}, {}).step == -1
    assert (found.window, found.grid_shape, found.allow) == ((3, 4), (4, 5), ("unused_nodes",))


def test_without_a_recipe_plain_mesh_files_are_read():
    found = CaseRecipe.from_info({}, {"k": 2}, {"u": 1})
    assert found == CaseRecipe(inputs={"k": 2}, targets={"u": 1}, edges=True)


@pytest.mark.parametrize(
    "damage",
    [3, {"window": [1]}, {"window": [0, 1]}, {"on": "faces"}, {"inputs": 3}, {"unheard": 1},
     {"inputs": {"k": "many"}}, {"inputs": {}}],
    ids=str,
)  # fmt: skip
def test_damaged_recipes_are_refused(damage):
    with pytest.raises(ValueError, match="the surrogate's recipe is damaged"):
        CaseRecipe.from_info({"recipe": damage}, {}, {})


def test_a_surrogate_of_an_older_version_is_refused():
    with pytest.raises(ValueError, match="saved by an older version; train it again"):
        CaseRecipe.from_info({"reading": {}}, {}, {})


def test_fields_at_nodes_or_cells():
    pos, cells = mixed_mesh()
    mesh = MeshData(pos, **cells)
    mesh.u = mesh.pos[:, 0].clone()
    mesh.cell_k = torch.arange(mesh.num_cells)
    mesh.load = torch.tensor([[5.0]])
    nodes = CaseRecipe(weights=True).make_case(mesh, ["u", "k", "load"])
    assert [tuple(nodes[name].shape) for name in ("u", "k", "load")] == [
        (len(mesh.pos), 1),
        (len(mesh.pos), 1),
        (1, 1),
    ]
    assert nodes.weight.sum() == pytest.approx(float(mesh.measures.sum()))
    recipe = CaseRecipe(on="cells", weights=True)
    cells = recipe.make_case(recipe.check(mesh), ["u", "k", "load"])
    assert torch.equal(cells.pos, mesh.centroids)
    torch.testing.assert_close(cells.u[:, 0], mesh.centroids[:, 0].float())
    x = stack_fields(cells, {"load": 1, "k": 1})
    assert x.tolist() == [[5.0, float(k)] for k in range(mesh.num_cells)]


def test_values_that_are_not_finite_are_refused():
    mesh = MeshData(torch.zeros(2, 3), u=torch.tensor([1.0, torch.nan]))
    with pytest.raises(ValueError, match="1 values of 'u' are NaN or infinite"):
        CaseRecipe().make_case(mesh, ["u"])
    with pytest.raises(ValueError, match="needs cell fields, but the mesh has no cells"):
        CaseRecipe(on="cells").check(mesh)
    with pytest.raises(ValueError, match=r"expected 'u' of shape \[2, 3\] \(got \[2, 1\]"):
        stack_fields(MeshData(torch.zeros(2, 3), u=torch.ones(2, 1)), {"u": 3})
