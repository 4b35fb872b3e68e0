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


def test_a_header_read_from_json_has_no_differences():
    assert describe_differences(OURS, json.loads(json.dumps(OURS))) == []
    assert describe_differences(OURS, {**OURS, "info": {}, "units": {"stress": "Pa"}}) == []


@pytest.mark.parametrize(
    ("change", "phrase"),
    [
        ({"model": {**OURS["model"], "heads": 4}}, "model.heads is 8 here, 4 in the checkpoint"),
        ({"model": {**OURS["model"], "new": 1}}, "model.new is None here, 1 in the checkpoint"),
        (
            {"fields": {"stress": 1, "displacement": 1}},
            "the order of fields is ['displacement', 'stress'] here, "
            "['stress', 'displacement'] in the checkpoint",
        ),
        ({"features": ["x"]}, f"features is {OURS['features']} here, ['x'] in the checkpoint"),
        ({"rollout": {"num_in": 1}}, "rollout is None here, {'num_in': 1} in the checkpoint"),
    ],
)
def test_differences(change, phrase):
    assert describe_differences(OURS, {**OURS, **change}) == [phrase]


def test_an_empty_header():
    assert len(describe_differences(OURS, {})) == 5
