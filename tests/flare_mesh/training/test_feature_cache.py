import pytest
import torch
from torch_geometric.data import Data

from flare_mesh.training import feature_cache
from flare_mesh.training.feature_cache import FeatureCache, is_random


@pytest.fixture(autouse=True)
def all_sizes(monkeypatch):
    monkeypatch.setattr(feature_cache, "_FEWEST", 4)


def case(x=1.0):
    pos = torch.arange(12.0).view(4, 3)
    return Data(pos=pos, x=torch.full((4, 1), x), y=torch.ones(4, 1), case_id="a")


class Counted:
    """Centres a case and appends a channel."""

    def __init__(self):
        self.calls = 0

    def __call__(self, data):
        self.calls += 1
        out = data.clone()
        out.y = data.y  # unchanged
        out.pos = data.pos - data.pos.mean(0)
        out.x = torch.cat([data.x, out.pos[:, :1]], 1)
        return out


def check(found):
    expected = Counted()(case())
    for name in ("pos", "x", "y"):
        torch.testing.assert_close(found[name], expected[name], rtol=0, atol=0)
    assert found.case_id == "a"


def test_features_are_computed_once(tmp_path):
    transform = Counted()
    for _ in range(2):  # runs
        check(FeatureCache(transform, ["center"], tmp_path / "features")(case()))
    assert transform.calls == 1
    assert len([*tmp_path.rglob("*.npz")]) == 1
    # Another case, and other options.
    FeatureCache(transform, ["center"], tmp_path / "features")(case(2.0))
    FeatureCache(transform, [{"center": {"axis": 1}}], tmp_path / "features")(case())
    assert transform.calls == 3
    assert [path.suffix for path in tmp_path.rglob("*") if path.is_file()] == [".npz"] * 3


def test_a_damaged_file_is_computed_again(tmp_path):
    transform = Counted()
    cached = FeatureCache(transform, ["center"], tmp_path)
    cached(case())
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    for damaged in (b"", whole[:-40], whole.replace(b"x.npy", b"z.npy")):
        file.write_bytes(damaged)
        check(cached(case()))
        assert len(file.read_bytes()) == len(whole)
    assert transform.calls == 4
    check(cached(case()))
    assert transform.calls == 4


def test_a_folder_that_cannot_be_written_to_costs_time_only(tmp_path):
    transform = Counted()
    (tmp_path / "file").touch()
    cached = FeatureCache(transform, ["center"], tmp_path / "file" / "features")
    check(cached(case()))
    check(cached(case()))
    assert transform.calls == 2


def test_small_cases_have_no_files(tmp_path, monkeypatch):
    monkeypatch.setattr(feature_cache, "_FEWEST", 5)
    check(FeatureCache(Counted(), ["center"], tmp_path)(case()))
    assert not [*tmp_path.iterdir()]


def test_random_features_are_drawn_again():
    assert is_random(["build_features", {"random_nodes": {"num_nodes": 2}}])
    assert is_random(["add_noise"])
    assert not is_random([{"geometry_features": {"kind": "plane"}}, "knn_edges"])
