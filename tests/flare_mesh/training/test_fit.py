import csv
import json

import pytest
import torch
from torch_geometric.data import Batch

from flare_mesh.data.transforms import BuildFeatures
from flare_mesh.datasets import LPBF
from flare_mesh.surrogate import Surrogate
from flare_mesh.training import fit, relative_l2


def test_training_lowers_the_error(trained):
    out, metrics = trained
    with (out / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    losses = [float(row["train_loss"]) for row in rows if row["train_loss"]]
    assert len(losses) == 3
    assert losses[-1] < 0.9 * losses[0]
    assert json.loads((out / "metrics.json").read_text()) == metrics


def test_reported_errors_are_those_of_the_saved_surrogate(trained, lpbf_root):
    out, metrics = trained
    surrogate = Surrogate.load(out)
    cases = LPBF(lpbf_root, "test")
    for name in ("displacement", "von_mises"):
        errors = [
            float(relative_l2(surrogate.predict(case)[name], case[name], [case[name].shape[1]]))
            for case in cases
        ]
        assert metrics["test_relative_l2"][name] == pytest.approx(sum(errors) / 2, rel=1e-4)


def test_normalisers_are_those_of_the_training_split(trained, lpbf_root):
    surrogate = Surrogate.load(trained[0])
    y = torch.cat([case.y for case in LPBF(lpbf_root)])
    torch.testing.assert_close(surrogate.y_normalizer.mean, y.mean(0), rtol=1e-4, atol=1e-7)
    torch.testing.assert_close(surrogate.y_normalizer.std, y.std(0, unbiased=False))
    mean_error = torch.cat(
        [relative_l2(y.mean(0).expand_as(c.y), c.y, [3, 1]) for c in LPBF(lpbf_root, "test")]
    ).mean(0)
    got = list(trained[1]["mean_relative_l2"].values())
    torch.testing.assert_close(torch.tensor(got), mean_error, rtol=1e-4, atol=0)


def test_surrogate_remembers_where_its_data_came_from(trained):
    surrogate = Surrogate.load(trained[0])
    assert surrogate.info["pitch"] == 4.0
    assert surrogate.units["displacement"] == "mm"


def test_a_part_is_predicted_the_same_in_a_batch(trained, lpbf_root):
    surrogate = Surrogate.load(trained[0]).eval()
    cases = [BuildFeatures()(case) for case in LPBF(lpbf_root, "test")]
    with torch.no_grad():
        together = surrogate(Batch.from_data_list(cases))
        alone = torch.cat([surrogate(case) for case in cases])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, r"epochs and batch size >= 1 \(got 0 and 4\)"),
        ({"targets": ["von_mises", "displacement"]}, "displacement as first target"),
        ({"targets": ["speed"]}, "unknown targets"),
        ({"nodes_per_part": 0}, "num_nodes >= 1"),
        ({"model": {"heads": 3}}, "divisible by 'heads'"),
    ],
)
def test_bad_options(lpbf_root, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        fit(lpbf_root, tmp_path / "run", **options)
    assert not (tmp_path / "run").exists()
