import json
from types import SimpleNamespace

import pytest
import torch

from flare_mesh import FLAREOperator, Surrogate
from flare_mesh.commands.band_report import (
    calibrate_run,
    print_bands,
    report_bands,
    saved_bands,
)
from flare_mesh.testing import random_graph


def case(seed):
    torch.manual_seed(seed)
    graph = random_graph(20, 3)
    return graph.update({"y": torch.randn(20, 1)})


def data(val="val", count=4):
    cases = {stage: [case(i) for i in range(count)] for stage in ("train", "val", "test")}
    splits = {"train": "train", "val": val, "test": "test"}
    return SimpleNamespace(
        splits=splits, cases=cases.__getitem__, has=lambda stage: splits[stage] is not None
    )


@pytest.fixture
def surrogate():
    model = FLAREOperator(0, 1, hidden_channels=8, num_layers=1, heads=2, num_latents=3)
    made = Surrogate(model, {"p": 1})
    made.fit_normalizers([case(0)])
    return made


def test_bands_are_reported_and_found_again(surrogate, tmp_path, capsys):
    assert calibrate_run(surrogate, data(), 0.9) == ""
    report = report_bands(surrogate, data())
    printed = capsys.readouterr().out
    assert "90% bands, from 4 validation cases, on 4 test cases:" in printed
    assert f"{report['covered']['p']:.1%} of the nodes covered (standard error " in printed
    low, high = report["likely"]["p"]
    expected = f"90% wanted, {low:.0%} to {high:.0%} to be expected from 4 validation cases"
    assert expected in printed
    assert "0% of the test cases are unlike the training cases" in printed

    # Bands of other weights are not those of a checkpoint.
    surrogate.save(tmp_path)
    state = {f"surrogate.{name}": values for name, values in surrogate.state_dict().items()}
    header = {"surrogate": json.dumps(surrogate.header()), "ema": False}
    path = tmp_path / "last.ckpt"
    torch.save({"state_dict": state, "flare_mesh": header}, path)
    assert saved_bands(tmp_path, str(path)).calibration.num_cases == 4
    state["surrogate.y_mean"] = state["surrogate.y_mean"] + 1
    torch.save({"state_dict": state, "flare_mesh": header}, path)
    assert saved_bands(tmp_path, str(path)) is None
    assert saved_bands(tmp_path / "empty", str(path)) is None


@pytest.mark.parametrize(("low", "advised"), [(0.84, True), (0.86, False), (None, False)])
def test_a_wide_range_of_coverage_comes_with_advice(low, advised, capsys):
    report = {
        "coverage": 0.9,
        "calibration_cases": 9,
        "cases": 20,
        "covered": {"p": 0.82},
        "covered_error": {"p": None},
        "width": {"p": None},
        "likely": {"p": low and (low, 0.95)},
        "unlike": 0.0,
    }
    print_bands(report)
    printed = capsys.readouterr().out
    assert ("more validation cases (data.val_split)" in printed) is advised
    assert ("90% wanted" in printed) is (low is not None)


def test_a_run_without_bands_says_why(surrogate):
    reasons = [
        calibrate_run(surrogate, data(), None),
        calibrate_run(surrogate, data(val=None), 0.9),
        calibrate_run(surrogate, data(val="test"), 0.9),
        calibrate_run(surrogate, data(count=2), 0.9),
        calibrate_run(surrogate, data(val="train"), 0.9),
    ]
    assert reasons[0] == "coverage is null"
    assert "there are no validation cases; hold out a share" in reasons[1]
    assert "the validation cases are the test cases" in reasons[2]
    assert "(got 2 and 2)" in reasons[3]
    assert "the validation cases are the training cases" in reasons[4]
    # A case that cannot be predicted costs the bands, not the run.
    broken = data()
    broken.cases("val")[1].y[3] = torch.nan
    assert "the truth of 'p' in the case '' is not finite" in calibrate_run(surrogate, broken, 0.9)
    assert surrogate.calibration is None
