"""Training of a classifier of sequences as a user types it."""

import csv
import json

import numpy as np
import pytest
import torch
import yaml

from flare_mesh.cli import main
from flare_mesh.commands.training_kind import is_of_sequences
from flare_mesh.models import load
from flare_mesh.surrogate.load import load_surrogate

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lra")
    rng = np.random.default_rng(0)
    (folder / "listops-1000").mkdir()
    for split, count in {"train": 60, "val": 20, "test": 30}.items():
        lines = ["Source\tTarget"]
        for _ in range(count):
            digits = rng.integers(0, 10, rng.integers(2, 9))
            lines.append(f"[MAX {' '.join(map(str, digits))} ]\t{digits.max()}")
        path = folder / f"listops-1000/basic_{split}.tsv"
        path.write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture
def config(root, tmp_path):
    path = tmp_path / "config.yaml"
    sizes = {"hidden_channels": 8, "num_layers": 1, "heads": 2, "mixer": "linear"}
    values = {
        "out": str(tmp_path / "run"),
        "trainer": {"max_epochs": 2, "accelerator": "cpu", "deterministic": True},
        "model": {"name": "sequence", "options": sizes, "optimizer": {"lr": 1e-2}, "ema": 0.9},
        "data": {"name": "lra_listops", "root": str(root), "max_tokens": 100},
    }
    path.write_text(yaml.safe_dump(values))
    return path


def rows(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_files_of_a_run(config, root, tmp_path, capsys):
    run = tmp_path / "run"
    assert main(["fit", "--config", str(config)]) == 0
    printed = capsys.readouterr().out
    labels = {}
    for split in ("train", "test"):
        text = (root / f"listops-1000/basic_{split}.tsv").read_text().splitlines()[1:]
        labels[split] = np.array([int(line[-1]) for line in text])
    most = np.bincount(labels["train"]).argmax()
    share = float(np.mean(labels["test"] == most))
    summary = json.loads((run / "summary.json").read_text())
    assert summary["baselines"] == {"majority": {"class": str(most), "accuracy": share}}
    assert f"(always '{most}': {share:.2%})" in printed
    assert summary["kept"] == "best"
    cases = rows(run / "test_cases.csv")
    assert [int(row["label"]) for row in cases] == labels["test"].tolist()
    right = np.mean([row["label"] == row["predicted"] for row in cases])
    assert summary["test_accuracy"] == pytest.approx(right)
    epochs = rows(run / "metrics.csv")
    assert {"train_loss", "train_accuracy", "val_accuracy", "val_ema_loss"} <= epochs[0].keys()
    best = torch.load(run / "checkpoints/best.ckpt", weights_only=True)
    accuracies = [float(row["val_accuracy"]) for row in epochs]
    assert best["epoch"] == int(np.argmax(accuracies))
    splits = json.loads((run / "splits.json").read_text())
    assert [splits[stage]["count"] for stage in ("train", "val", "test")] == [60, 20, 30]
    # The saved models are those of the checkpoint.
    for folder, prefix in (("model", "model."), ("ema", "ema.module.")):
        for name, value in load(run / folder).state_dict().items():
            assert torch.equal(value, best["state_dict"][prefix + name])
    assert main(["test", "--run", str(run)]) == 0
    again = json.loads((run / "test.json").read_text())
    assert again["test_accuracy"] == summary["test_accuracy"]
    assert main(["fit", "--config", str(config)]) == 2
    assert "has a run already" in capsys.readouterr().err
    for command, message in {
        f"report {run}": "expected a run that predicts fields (got a classifier of sequences)",
        f"benchmark --data={config} --models=flare": "(got 'lra_listops', of sequences); compare",
    }.items():
        assert main([*command.split(), f"--out={tmp_path / 'other.html'}"]) == 2
        assert message in capsys.readouterr().err
    for path in (run, run / "checkpoints/best.ckpt"):
        with pytest.raises(ValueError, match="predicts fields .got a classifier of sequences"):
            load_surrogate(path)


@pytest.mark.slow
def test_a_resumed_run_equals_an_uninterrupted_one(config, tmp_path):
    constant = ["--model.schedule.name=constant", "--data.num_workers=1"]
    fit = ["fit", "--config", str(config), *constant]
    assert main([*fit, f"--out={tmp_path / 'whole'}"]) == 0
    assert main([*fit, "--trainer.max_epochs=1"]) == 0
    assert main(["fit", "--resume", str(tmp_path / "run"), "--trainer.max_epochs=2"]) == 0
    states = [
        torch.load(tmp_path / run / "checkpoints/last.ckpt", weights_only=True)["state_dict"]
        for run in ("whole", "run")
    ]
    for name, value in states[0].items():
        assert torch.equal(value, states[1][name]), name
    tables = [rows(tmp_path / run / "metrics.csv") for run in ("whole", "run")]
    assert [row["val_loss"] for row in tables[0]] == [row["val_loss"] for row in tables[1]]


@pytest.mark.slow
def test_a_run_by_the_clock(config, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("flare_mesh.training.sequence_plan.step_seconds", lambda *_, **__: 0.1)
    options = ["--budget=3s", "--trainer.max_epochs=null", "--keep=last", "--data.max_tokens=20"]
    assert main(["fit", "--config", str(config), *options]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("plan: ")
    assert "100 ms a step; about " in printed
    resolved = yaml.safe_load((tmp_path / "run/config.yaml").read_text())
    assert resolved["data"]["epoch_batches"] >= 1
    assert json.loads((tmp_path / "run/summary.json").read_text())["train_seconds"] < 20


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--model.name=flare"], "'flare' is a model of fields on meshes, and the data set 'lra_"),
        (["--data.name=elasticity"], "'sequence' is a model of sequences, and the data set 'elast"),
        (
            ["--data.name=lra_listop"],
            "unknown data set of sequences 'lra_listop'; did you mean",
        ),
        (["--model.name=causal_lm"], "expected 'sequence' for a data set of sequences"),
        (["--model.options.mixer=softmx"], "did you mean 'softmax'"),
        (["--model.options.max_length=1000"], "up to 2000 tokens (got 1000); leave it out"),
        (["--data.max_nodes=5"], "unknown option '--data.max_nodes'; did you mean 'data.max_tok"),
        (["--data.root=nowhere"], "listops"),
        (["--data.options={length: 3}"], "no option 'length'"),
        (["--keep=first"], "expected 'best' or 'last'"),
        (["--trainer.precision=bf16-true"], "would round weights"),
        (["--budget=2s", "--data.epoch_batches=3"], "leave out one"),
    ],
)
def test_bad_values_give_one_line(config, capsys, options, message):
    assert main(["fit", "--config", str(config), *options]) == 2
    output = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error")]
    assert len(output) == 1
    assert message in output[0]
    assert not (config.parent / "run").exists()


def test_kind_of_a_training(config, tmp_path):
    other = tmp_path / "other.yaml"
    other.write_text("data: {name: darcy}\nmodel: {name: flare}\n")
    assert is_of_sequences(["--config", str(config)])
    assert not is_of_sequences(["--config", str(other)])
    assert not is_of_sequences([])
    assert is_of_sequences(["--data", '{"name": "lra_listops"}'])
    assert is_of_sequences(["--data.name", "lra_listops"])
    with pytest.raises(ValueError, match="model of fields"):
        is_of_sequences(["--config", str(other), "--data.name=lra_listops"])
