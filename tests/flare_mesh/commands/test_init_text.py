from typing import Any

import pytest
import yaml
from jsonargparse import ArgumentParser

from flare_mesh.cases.target_scales import TargetScale
from flare_mesh.commands.init_fields import FieldChoice
from flare_mesh.commands.init_settings import Settings
from flare_mesh.commands.init_text import _flow, config_text
from flare_mesh.datasets.field_dataset import SquareSymmetry


@pytest.mark.parametrize("mark", ["\n", "\r", "\x85", "\u2028", "\u2029", "\x1b"])
def test_no_name_ends_a_comment(mark):
    """The names of files and fields are those of strangers."""
    name = f"stress{mark}checkpoint_steps: 1"
    scales = {"u": TargetScale((), f"as {name}")}
    text = config_text(
        [f"Written by: {name}"],
        run="runs/a",
        budget="5m",
        name="mesh_folder",
        root="a",
        kind="plane",
        options={"targets": ["u"]},
        comments={"targets": [f"- {name}"]},
        fields=FieldChoice((), ("u",), scales, (), (f"{name} has peaks",)),
        settings=Settings(8, 2, 0.2, True, False),
        features=("build_features",),
        symmetry=SquareSymmetry(True, f"As {name}"),
        columns={"vectors": {"pos": [0]}},
    )
    found = yaml.safe_load(text)
    assert found["data"]["features"] == ["build_features", {"geometry_features": {"kind": "plane"}}]
    assert found.keys() == {"out", "budget", "keep", "model", "data"}
    assert found["data"]["options"] == {"targets": ["u"]}
    assert all(key.isidentifier() for part in ("model", "data") for key in found[part])
    assert found["data"]["augment"] == [{"random_square_symmetry": {"vectors": {"pos": [0]}}}]
    assert found["model"]["average_symmetries"] is True


@pytest.mark.parametrize("value", ["1e3", "1e-3", "+.5E7", "yes", "1_000", "a: b", "", 1e-3, 2.0])
def test_values_are_read_as_they_are(value):
    """Names that look like numbers stay names."""
    parser = ArgumentParser()
    parser.add_argument("--targets", type=Any)
    (found,) = parser.parse_string(f"targets: {_flow([value])}").targets
    assert (type(found), found) == (type(value), value)
