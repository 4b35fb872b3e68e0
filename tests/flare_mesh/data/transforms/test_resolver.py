import inspect

import pytest
import torch
from torch_geometric.data import Data

from flare_mesh.data import transforms
from flare_mesh.data.transforms import AddNoise, RandomNodes
from flare_mesh.data.transforms.resolver import build_transform, build_transforms, transform_names


def test_every_transform_has_a_name():
    names = transform_names()
    assert {found.__name__ for found in names.values()} == set(transforms.__all__)
    assert {"knn_edges", "random_square_symmetry", "build_features"} <= names.keys()


@pytest.mark.parametrize("name", transform_names())
def test_is_built_by_its_name(name):
    found = transform_names()[name]
    parameters = inspect.signature(found).parameters.values()
    if all(parameter.default is not parameter.empty for parameter in parameters):
        assert type(build_transform(name)) is found
        assert type(build_transform({name: {}})) is found
        assert type(build_transform({name: None})) is found
    else:
        with pytest.raises(ValueError, match=f"the transform '{name}' with {{}}: .*missing"):
            build_transform(name)


def test_options_arrive_and_the_order_is_kept():
    specs = [{"random_nodes": {"num_nodes": 3}}, {"add_noise": {"std": {"x": 0.0}}}]
    built = build_transforms(specs)
    assert [type(one) for one in built.transforms] == [RandomNodes, AddNoise]
    assert built(Data(pos=torch.rand(9, 2), x=torch.rand(9, 1))).num_nodes == 3
    assert specs == [{"random_nodes": {"num_nodes": 3}}, {"add_noise": {"std": {"x": 0.0}}}]
    assert build_transforms([]) is None


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("random_node", "unknown transform 'random_node'; did you mean 'random_nodes'"),
        ("RandomNodes", "unknown transform 'RandomNodes'; did you mean 'random_nodes'"),
        ("zzz", "unknown transform 'zzz'; choose from"),
        ("", "unknown transform ''; choose from"),
        ({5: {}}, "unknown transform '5'; choose from"),
        ({"random_nodes": {"number": 3}}, "has no option 'number'"),
        ({"random_nodes": {"num_node": 3}}, "no option 'num_node'; did you mean 'num_nodes'"),
        ({"random_nodes": {5: 3}}, "has no option '5'"),
        ({"random_nodes": 256}, r"'random_nodes': expected a mapping of its options \(got 256\)"),
        ({"random_nodes": "num_nodes"}, "expected a mapping of its options"),
        ({"random_nodes": [256]}, "expected a mapping of its options"),
        ({"build_features": False}, "expected a mapping of its options"),
        ({"random_nodes": {}}, "'random_nodes' with {}"),
        ({}, "expected a transform's name"),
        ({"random_nodes": {"num_nodes": 3}, "build_features": {}}, "expected a transform's name"),
        (["random_nodes"], "expected a transform's name"),
        (None, "expected a transform's name"),
        (5, "expected a transform's name"),
    ],
)
def test_wrong_specs(spec, message):
    with pytest.raises(ValueError, match=message):
        build_transforms([spec])


@pytest.mark.parametrize("specs", ["build_features", {"random_nodes": {"num_nodes": 3}}])
def test_one_transform_is_not_a_list_of_them(specs):
    with pytest.raises(ValueError, match="expected a list of transforms"):
        build_transforms(specs)
