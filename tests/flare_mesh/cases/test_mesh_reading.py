import json

import pytest

from flare_mesh.cases.mesh_reading import MeshReading


def test_options_of_a_folder_of_meshes_survive_as_json():
    options = {
        "targets": ["u"],
        "on": "cells",
        "weights": True,
        "table": "loads.csv",
        "name_pattern": r"_(?P<load>\d+)",
        "allow": "unused_nodes",
    }
    reading = MeshReading.of_dataset("mesh_folder", options, {"load": 1}, (3, 4))
    assert reading.allow == ("unused_nodes",)
    info = json.loads(json.dumps({"reading": reading.to_dict()}))
    assert MeshReading.of_info(info, {}) == reading


def test_other_data_sets_have_no_such_options():
    reading = MeshReading.of_dataset("darcy", {"weights": True, "stride": 2}, {"a": 1}, None)
    assert reading == MeshReading("darcy", {"a": 1})


def test_without_a_record():
    assert MeshReading.of_info({}, {"k": 2}) == MeshReading(inputs={"k": 2})
    assert MeshReading.of_info({"pitch": 2.0}, {}).dataset == "lpbf"


@pytest.mark.parametrize(
    "damage",
    [3, {"window": [1]}, {"window": [0, 1]}, {"on": "faces"}, {"inputs": 3}, {"unheard": 1},
     {"inputs": {"k": "many"}}],
    ids=str,
)  # fmt: skip
def test_damaged(damage):
    with pytest.raises(ValueError, match="the surrogate's info 'reading' is damaged"):
        MeshReading.of_info({"reading": damage}, {})
