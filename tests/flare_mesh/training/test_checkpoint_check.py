import json

import pytest

from flare_mesh.training.checkpoint_check import describe_differences

OURS = {
    "version": "1",
    "model": {"name": "flare", "heads": 8, "shape": (2, 3)},
    "fields": {"displacement": 1, "stress": 1},
    "inputs": {},
    "features": [{"random_nodes": {"num_nodes": 4}}],
    "normalizers": {"pos": "unit_gaussian"},
    "rollout": None,
    "info": {"seed": 1},
}


def test_what_went_through_json_is_the_same():
    assert describe_differences(OURS, json.loads(json.dumps(OURS))) == []
    assert describe_differences(OURS, {**OURS, "info": {}, "units": {"stress": "Pa"}}) == []


@pytest.mark.parametrize(
    ("change", "phrase"),
    [
        ({"model": {"name": "flare", "heads": 4, "shape": [2, 3]}}, "model.heads: 8, there 4"),
        ({"model": {**OURS["model"], "new": 1}}, "model.new: None, there 1"),
        (
            {"fields": {"stress": 1, "displacement": 1}},
            "fields: in the order ['displacement', 'stress'], there ['stress', 'displacement']",
        ),
        ({"features": []}, "features: [{'random_nodes': {'num_nodes': 4}}], there []"),
        ({"rollout": {"num_in": 1}}, "rollout: None, there {'num_in': 1}"),
    ],
)
def test_what_differs(change, phrase):
    assert describe_differences(OURS, {**OURS, **change}) == [phrase]


def test_a_header_of_nothing():
    assert len(describe_differences(OURS, {})) == 5
