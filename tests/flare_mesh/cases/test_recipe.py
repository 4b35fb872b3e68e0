import json

import pytest
import torch

from flare_mesh import MeshData
from flare_mesh.cases import CaseRecipe
from flare_mesh.cases.recipe import stack_fields
from flare_mesh.io import MeshFileWarning
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
    cells = recipe.make_case(recipe.check(mesh, "a"), ["u", "k", "load"])
    assert torch.equal(cells.pos, mesh.centroids)
    torch.testing.assert_close(cells.u[:, 0], mesh.centroids[:, 0].float())
    x = stack_fields(cells, {"load": 1, "k": 1})
    assert x.tolist() == [[5.0, float(k)] for k in range(mesh.num_cells)]


def test_values_that_are_not_finite_are_refused():
    mesh = MeshData(torch.zeros(2, 3), u=torch.tensor([1.0, torch.nan]))
    with pytest.raises(ValueError, match="1 values of 'u' are NaN or infinite"):
        CaseRecipe().make_case(mesh, ["u"])
    with pytest.raises(ValueError, match="needs cell fields, but the mesh has no cells"):
        CaseRecipe(on="cells").check(mesh, "a")
    with pytest.raises(ValueError, match=r"expected 'u' of shape \[2, 3\] \(got \[2, 1\]"):
        stack_fields(MeshData(torch.zeros(2, 3), u=torch.ones(2, 1)), {"u": 3})


def quad_among_other_nodes():
    """A quad of the nodes 1 to 4, with a node before and a node behind it."""
    pos = [[5.0, 5, 5], [0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [9, 9, 9]]
    mesh = MeshData(torch.tensor(pos), quad=torch.tensor([[1, 2, 3, 4]]))
    mesh.u = torch.tensor([torch.nan, 1, 2, 3, 4, torch.inf])
    mesh.cell_p = torch.tensor([7.0])
    return mesh


def test_nodes_of_no_cell_are_left_out():
    mesh, recipe = quad_among_other_nodes(), CaseRecipe(weights=True)
    with pytest.warns(MeshFileWarning, match="^a.vtu: 2 of 6 nodes belong to no cell and are left"):
        used = recipe.check(mesh, "a.vtu")
    case = recipe.make_case(used, ["u", "p"])
    assert case.u.tolist() == [[1.0], [2.0], [3.0], [4.0]]
    assert case.p.tolist() == [[7.0]] * 4
    assert torch.equal(case.pos, mesh.pos[1:5])
    assert case.quad.tolist() == [[0, 1, 2, 3]]
    assert float(case.weight.sum()) == pytest.approx(1.0)
    # Finite values there make no points either: a case does not depend on the values.
    mesh.u = torch.arange(6.0)
    with pytest.warns(MeshFileWarning, match="2 of 6 nodes"):
        assert torch.equal(recipe.check(mesh, "a.vtu").pos, case.pos)
    with pytest.raises(
        ValueError, match=r"^a.vtu: 2 of 6 nodes \(0, 5\) belong to no cell; repair"
    ):
        CaseRecipe(allow=()).check(mesh, "a.vtu")


def test_a_cloud_of_points_keeps_all():
    mesh = MeshData(torch.eye(3), u=torch.arange(3.0))
    assert CaseRecipe().check(mesh, "a.vtu") is mesh


def test_the_first_value_that_is_not_finite_is_located():
    mesh, recipe = quad_among_other_nodes(), CaseRecipe()
    mesh.u[3] = torch.nan
    with pytest.warns(MeshFileWarning):
        used = recipe.check(mesh, "a")
    place = r"^1 values of 'u' are NaN or infinite, the first at node 3, \(1, 1, 0\)$"
    with pytest.raises(ValueError, match=place):
        recipe.make_case(used, ["u"])
    used.origin = (500000.0, 4e6, 10.0)
    with pytest.raises(ValueError, match=r"node 3, \(500001, 4000001, 10\)"):
        recipe.make_case(used, ["u"])
    mesh.cell_p[0] = torch.inf
    mesh.load = torch.tensor([[torch.nan]])
    cells = CaseRecipe(on="cells")
    with pytest.raises(ValueError, match=r"first at the centroid of a cell, \(0.5, 0.5, 0\)$"):
        cells.make_case(mesh, ["p"])
    with pytest.raises(ValueError, match="1 values of 'load' are NaN or infinite$"):
        CaseRecipe().make_case(mesh, ["load"])


def test_fields_stay_the_first_channels_when_features_append():
    inputs = {"load": 1, "stiffness": 2}
    features = ["to_reference_frame", {"geometry_features": {"kind": "points"}}]
    for pos_dim, in_channels in ((2, 22), (3, 30)):
        recipe = CaseRecipe(
            inputs=inputs, features=features, pos_dim=pos_dim, in_channels=in_channels
        )
        assert recipe.model_inputs == inputs
    assert CaseRecipe(inputs=inputs, features=["build_features"], in_channels=14).model_inputs == {}
    assert CaseRecipe(inputs=inputs, in_channels=3).model_inputs == inputs
