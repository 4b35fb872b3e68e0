import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from flare_mesh import FLAREOperator, Surrogate
from flare_mesh.surrogate.calibrate import predict_described, spaced
from flare_mesh.surrogate.coverage_report import coverage_report
from flare_mesh.testing import random_graph


def case(seed):
    torch.manual_seed(seed)
    graph = random_graph(40 + seed % 7, 3)
    graph.x = torch.randn(len(graph.pos), 2)
    graph.y = torch.randn(len(graph.pos), 4)
    return graph


@pytest.fixture
def surrogate():
    torch.manual_seed(0)
    model = FLAREOperator(2, 4, hidden_channels=8, num_layers=1, heads=2, num_latents=3)
    made = Surrogate(model, {"u": 3, "p": 1})
    made.fit_normalizers([case(i) for i in range(12)])
    return made


def test_bands_cover_new_cases_and_are_saved(surrogate, tmp_path):
    training = [case(i) for i in range(12)]
    calibration = surrogate.calibrate([case(i) for i in range(20, 30)], training, coverage=0.8)
    assert calibration.num_cases == 10
    assert calibration.unlikeness.keys() == {"shape", "inputs", "features"}
    new = [case(i) for i in range(40, 60)]
    report = coverage_report(surrogate, new)
    assert report["cases"] == 20
    # The same by a plain computation.
    shares = []
    for one in new:
        error = (surrogate.predict(one)["u"] - one.y[:, :3]).norm(dim=1)
        score = calibration.scores(predict_described(surrogate, [one])[0].descriptors)["features"]
        band = calibration.bands["u"].half_width(surrogate.predict(one)["u"])[:, 0]
        band = max(score, 0.25) ** calibration.bands["u"].exponent * band
        shares.append(float((error <= band).float().mean()))
    assert report["covered"]["u"] == pytest.approx(sum(shares) / 20)
    error = torch.tensor(shares).std() / 20**0.5
    assert report["covered_error"]["u"] == pytest.approx(float(error), rel=1e-4)
    low, high = report["likely"]["u"]
    assert 0.7 < low < 0.8 < high < 0.9
    assert all(0.72 < covered < 0.88 for covered in report["covered"].values())

    surrogate.save(tmp_path)
    again = Surrogate.load(tmp_path)
    assert again.calibration.header() == calibration.header()
    assert coverage_report(again, new) == report
    assert again.state_dict().keys() == surrogate.state_dict().keys()
    # A file without a calibration, as of older versions.
    surrogate.calibration = None
    surrogate.save(tmp_path)
    assert Surrogate.load(tmp_path).calibration is None


def test_a_damaged_calibration_is_refused(surrogate, tmp_path):
    surrogate.calibrate([case(i) for i in range(4)])
    surrogate.save(tmp_path)
    file = tmp_path / "surrogate.safetensors"
    with safe_open(file, framework="pt") as opened:
        metadata = opened.metadata()
        state = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    header = json.loads(metadata["calibration"])
    other = {"u": header["bands"]["u"] | {"channels": 1}, "p": header["bands"]["p"]}
    for damage, message in (
        ({"bands": {"u": header["bands"]["u"]}}, "its bands are damaged: expected those of"),
        ({"bands": other}, "its bands are damaged: expected those of"),
        ({"coverage": 1.5}, r"calibration is damaged \(coverage 1.5"),
        ({"difficulty": "p"}, "calibration is damaged .*, difficulty 'p'"),
        ({"unlikeness": {}}, r"calibration is damaged \(coverage 0.9, 4 cases, distances \[\]"),
    ):
        save_file(state, file, metadata | {"calibration": json.dumps(header | damage)})
        with pytest.raises(ValueError, match=message):
            Surrogate.load(tmp_path)
    state["calibration.shape.center"] = state["calibration.shape.center"][:3]
    save_file(state, file, metadata)
    with pytest.raises(ValueError, match="distance to the training cases is damaged"):
        Surrogate.load(tmp_path)


def test_bad_input(surrogate):
    with pytest.raises(ValueError, match=r"at least 3 held-out cases \(got 2\)"):
        surrogate.calibrate([case(0), case(1)])
    with pytest.raises(ValueError, match="between 0 and 1"):
        surrogate.calibrate([case(0)] * 3, coverage=90)
    broken = case(3)
    broken.y[2, 1] = torch.inf
    with pytest.raises(ValueError, match="'u' in the case '' is not finite"):
        surrogate.calibrate([case(0), case(1), broken])


def test_of_many_cases_evenly_spaced_ones_are_used():
    cases = [{"pos": torch.zeros(10, 3), "number": i} for i in range(101)]
    assert [one["number"] for one in spaced(cases, 1_000)] == list(range(101))[:50] + list(
        range(51, 101)
    )
    assert len([*spaced(cases, 50)]) == 32
    assert [*spaced([], 50)] == []
