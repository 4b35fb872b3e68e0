"""The training commands as a user types them."""

import csv
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import warnings
from functools import partial
from itertools import count

import numpy as np
import pytest
import torch
import yaml

from flare_mesh.cli import main
from flare_mesh.surrogate.load import load_surrogate
from flare_mesh.training.run_lock import run_lock
from flare_mesh.training.time_budget import TimeBudget


def looks():
    """A clock on which a look takes a fifth of a second."""
    return count(step=0.2).__next__


@pytest.fixture
def config(lpbf_root, tmp_path):
    return write_config(tmp_path, lpbf_root)


def write_config(folder, lpbf_root):
    path = folder / "config.yaml"
    values = {
        "out": str(folder / "run"),
        "baselines": False,
        "trainer": {"max_epochs": 3, "accelerator": "cpu", "deterministic": True},
        "model": {
            "options": {"hidden_channels": 8, "num_layers": 1, "heads": 2, "num_latents": 2},
            "optimizer": {"lr": 5e-3},
            "ema": 0.9,
        },
        "data": {
            "name": "lpbf",
            "root": str(lpbf_root),
            "features": ["build_features"],
            "augment": [{"random_nodes": {"num_nodes": 20}}, "random_square_symmetry"],
            "batch_size": 2,
            "val_split": 0.2,
        },
    }
    path.write_text(yaml.safe_dump(values))
    return path


@pytest.mark.filterwarnings("ignore")
def test_files_of_a_run(config, tmp_path, capsys):
    run = tmp_path / "run"
    more = ["--data.num_workers=0", "--baselines", "--model.scale_by={displacement: power_law}"]
    assert main(["fit", "--config", str(config), *more]) == 0
    printed = capsys.readouterr().out
    modes = {path.stat().st_mode for path in run.rglob("*") if path.is_file()}
    assert modes == {config.stat().st_mode}  # of the umask
    assert "displacement scales as exp(" in printed
    assert "epoch 3, step 9/9: train loss" in printed
    assert "kept the best epoch" in printed
    with (run / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == [0, 1, 2]
    assert all(float(row["train_loss"]) > 0 for row in rows)
    assert {"val_relative_l2", "val_ema_relative_l2", "lr", "seconds"} <= rows[0].keys()
    splits = json.loads((run / "splits.json").read_text())
    ids = splits["train"]["cases"]
    digest = hashlib.sha256("\n".join(sorted(ids)).encode()).hexdigest()
    assert splits["train"]["sha256"] == digest
    assert not set(ids) & {*splits["val"]["cases"]}
    assert json.loads((run / "environment.json").read_text())["torch"] == torch.__version__
    summary = json.loads((run / "summary.json").read_text())
    assert summary["steps"] == 9
    assert summary["peak_memory_bytes"] > 1e7
    # The baselines stand beside the model, and are the same in each test.
    assert {"training_mean", "nearest_case", "nearest_nodes"} <= summary["baselines"].keys()
    assert all(0 < one["displacement"] < 2 for one in summary["baselines"].values())
    assert "baselines, mean over the fields of" in printed
    assert any((run / "events").iterdir())
    best = min(float(row["val_relative_l2"]) for row in rows)

    # The surrogate is from the best epoch, and has the same errors again.
    assert main(["validate", "--run", str(run)]) == 0
    output = dict(line.split(": ") for line in capsys.readouterr().out.splitlines())
    assert float(output["val_relative_l2"]) == pytest.approx(best, abs=1e-5)
    assert main(["test", "--run", str(run)]) == 0
    again = json.loads((run / "test.json").read_text())
    assert again["test_relative_l2"] == summary["test_relative_l2"]
    assert again["baselines"] == summary["baselines"]
    with (run / "test_cases.csv").open() as file:
        cases = list(csv.DictReader(file))
    errors = [float(row["displacement"]) for row in cases]
    assert np.mean(errors) == pytest.approx(summary["test_relative_l2"]["displacement"])
    state = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    for name, value in load_surrogate(run).state_dict().items():
        assert torch.equal(value, state[f"surrogate.{name}"])
    averaged = load_surrogate(run, ema=True).model.state_dict()
    for name, value in averaged.items():
        assert torch.equal(value, state[f"ema.module.{name}"])

    # The run is not replaced without --overwrite, and its configuration repeats it.
    assert main(["fit", "--config", str(config)]) == 2
    assert "has a run already" in capsys.readouterr().err
    other = tmp_path / "again"
    assert main(["fit", "--config", str(run / "config.yaml"), "--out", str(other)]) == 0
    for name, value in load_surrogate(other).state_dict().items():
        assert torch.equal(value, state[f"surrogate.{name}"])


def test_a_second_fit_in_the_folder_is_refused(config, tmp_path, capsys):
    run = tmp_path / "run"
    for options in ([], ["--overwrite"]):
        with run_lock(run):
            (run / "metrics.csv").write_text("of the first")
            assert main(["fit", "--config", str(config), *options]) == 2
            assert (run / "metrics.csv").read_text() == "of the first"
        error = capsys.readouterr().err
        assert f"error: {run}: process {os.getpid()} on " in error
        assert error.count("\n") == 1


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_finished_run_is_extended(config, tmp_path, capsys):
    run = tmp_path / "run"
    constant = ["--model.schedule.name=constant", "--data.val_split=null"]
    assert main(["fit", "--config", str(config), *constant]) == 0
    assert "kept the last epoch" in capsys.readouterr().out
    assert main(["fit", "--resume", str(run), "--trainer.max_epochs=4", "--no-baselines"]) == 0
    rows = (run / "metrics.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["epoch", "0", "1", "2", "3"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_replaced_run_leaves_no_files(config, tmp_path, capsys):
    run = tmp_path / "run"
    fit = ["fit", "--config", str(config), "--trainer.max_epochs=1"]
    assert main(fit) == 0
    (run / "notes.txt").touch()
    (run / "checkpoints" / ".last.99999999.partial.ckpt").touch()
    (run / "hpc_ckpt_1.ckpt").touch()  # of Lightning's requeue on SLURM
    # TensorBoard names its file by the second, so a second run may write to the same name.
    assert list((run / "events").glob("events*"))
    (run / "events" / "events.out.tfevents.1.host").touch()

    def files():
        return {path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file()}

    # A run that fails before training replaces no files.
    before = files()
    assert main([*fit, "--overwrite", "--model.schedule.name=linear"]) == 2
    assert main([*fit, "--overwrite", "--data.root=nowhere"]) == 2
    assert files() == before
    # Without validation cases there is no best epoch, whatever there was.
    again = [*fit, "--overwrite", "--data.val_split=null", "--model.ema=null"]
    assert main([*again, "--model.schedule.name=constant"]) == 0
    assert "kept the last epoch" in capsys.readouterr().out
    left = {name for name in files() if not name.startswith("events/")}
    assert left == {"notes.txt", "checkpoints/last.ckpt", "config.yaml", "environment.json",
                    "metrics.csv", "splits.json", "summary.json", "surrogate.safetensors",
                    "test_cases.csv"}  # fmt: skip
    assert not (run / "events" / "events.out.tfevents.1.host").exists()
    assert list((run / "events").glob("events*"))
    # A best checkpoint that no validation of this run has written is not its result.
    shutil.copy(run / "checkpoints" / "last.ckpt", run / "checkpoints" / "best.ckpt")
    assert main(["fit", "--resume", str(run), "--data.val_split=0.2",
                 "--trainer.limit_val_batches=0", "--trainer.max_epochs=2"]) == 0  # fmt: skip
    assert "kept the last epoch" in capsys.readouterr().out


@pytest.mark.filterwarnings("ignore")
def test_the_last_step_is_validated_within_an_epoch_too(config, tmp_path, capsys):
    # Epochs of three steps.
    quick = ["--trainer.max_epochs=-1", "--model.schedule.name=constant", "--data.augment=null"]
    assert main(["fit", "--config", str(config), *quick, "--trainer.max_steps=5"]) == 0
    with (tmp_path / "run" / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == [3, 5]
    errors = [float(row["val_relative_l2"]) for row in rows]
    assert len(set(errors)) == 2
    assert "epoch 2, step 5/5: train loss" in capsys.readouterr().out
    kept = torch.load(tmp_path / "run/checkpoints/best.ckpt", weights_only=True)
    assert kept["global_step"] == [3, 5][errors.index(min(errors))]


@pytest.mark.filterwarnings("ignore")
def test_rows_have_the_values_of_their_epoch(config, tmp_path):
    assert main(["fit", "--config", str(config), "--trainer.check_val_every_n_epoch=2"]) == 0
    with (tmp_path / "run" / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [bool(row["val_relative_l2"]) for row in rows] == [False, True, False]
    assert all(row["train_loss"] for row in rows)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("trainer.accelerator=nonesuch", "nonesuch"),
        ("trainer.devices=abc", "trainer: `devices`"),
        ("trainer.max_epochs=-5", "You passed in -5"),
        ("trainer.max_time=00:00:05:00", "trainer.max_time: no schedule is laid over it"),
        ("budget=5m", "budget: expected one length of the training (got budget=5m and"),
        ("budget=5 minutes", "budget: expected a duration such as 90s, 5m, 1h30m"),
        ("model.size=auto", "model.size: 'auto' is chosen for a time budget; set budget"),
        ("model.size=tiny", "model.size"),
        ("data.sample_nodes=9", "data.sample_nodes: data.augment draws nodes too"),
        ("data.epoch_batches=0", "data: expected epoch_batches >= 1 (got 0)"),
        ("trainer.limit_train_batches=1.5", "invalid value 1.5"),
        ("trainer.max_epochs=0", "trainer.max_epochs: expected training of some length"),
        ("trainer.accumulate_grad_batches=0", "expected at least 1 (got 0)"),
        ("model.normalizers={y: 3}", "model.normalizers.y: expected a name"),
        ("model.scale_by={displacment: power_law}", "did you mean 'displacement'?"),
        ("out=", "out: expected the run's folder"),
        ("trainer.limit_test_batches=0", "set data.test_split=null"),
        ("trainer.gradient_clip_val=-1", "gradient_clip_val: expected at least 0"),
        ("data.batch_size=null", "data.batch_size"),
        ("data.test_split=nope", "nope"),
        ("data.val_split=nope", "nope"),
    ],
)
def test_bad_values_give_one_line(config, capsys, option, message):
    assert main(["fit", "--config", str(config), f"--{option}"]) == 2
    output = capsys.readouterr().err
    assert message in output
    assert len(output.splitlines()) == 1
    assert not (config.parent / "run").exists()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_run_by_the_clock(config, tmp_path, capsys, monkeypatch):
    """The step that is measured takes half a second."""
    monkeypatch.setattr(
        "flare_mesh.commands.run_command.TimeBudget", partial(TimeBudget, clock=looks())
    )
    monkeypatch.setattr("flare_mesh.training.budget_plan.step_seconds", lambda *_, **__: 0.5)
    values = yaml.safe_load(config.read_text())
    del values["trainer"]["max_epochs"], values["model"]["options"]
    values["data"] |= {"batch_size": "auto", "augment": None}
    config.write_text(yaml.safe_dump(values))
    run = tmp_path / "run"
    options = ["--budget=11s", "--model.size=auto", "--data.sample_nodes=20"]
    assert main(["fit", "--config", str(config), *options]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("plan: size small (C = ")
    assert "20 of " in lines[0]
    assert re.match(r"plan: about 19 steps in 11s, (3\.[89]|4) passes over 5 cases, ", lines[1])
    assert re.match(r"\d+s of 11s, step \d+: train loss .*val relative l2", lines[2])
    resolved = yaml.safe_load((run / "config.yaml").read_text())
    assert (resolved["budget"], resolved["model"]["size"]) == ("11s", "small")
    assert resolved["data"]["batch_size"] == 1
    # The validation of one whole case takes two steps of 20 nodes: 22 steps of 0.5 s with one in
    # 15 steps leave 19 to train.
    assert resolved["data"]["epoch_batches"] == 15
    summary = json.loads((run / "summary.json").read_text())
    assert summary["passes"] == summary["steps"] / 5
    with (run / "metrics.csv").open() as file:
        assert float([*csv.DictReader(file)][-1]["lr"]) < 1e-8
    # The time is used; the checkpoint says so.
    assert main(["fit", "--resume", str(run)]) == 0
    assert json.loads((run / "summary.json").read_text())["steps"] == summary["steps"]


@pytest.mark.filterwarnings("ignore")
def test_lightnings_timer_ends_a_run(config, tmp_path):
    timer = "[{class_path: Timer, init_args: {duration: {seconds: 0}}}]"
    quick = ["--data.test_split=null", "--data.val_split=null", "--trainer.logger=false"]
    options = [f"--trainer.callbacks={timer}", "--trainer.min_steps=1", *quick]
    assert main(["fit", "--config", str(config), *options]) == 0
    found = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    assert found["trainer"]["callbacks"][0]["init_args"]["interval"] == "step"
    # A smallest number of steps lets the first of three epochs end.
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["steps"] == 3


@pytest.mark.parametrize("name", ["batch_size", "root"])
def test_null_in_a_file_is_refused(config, capsys, name):
    values = yaml.safe_load(config.read_text())
    values["data"][name] = None
    config.write_text(yaml.safe_dump(values))
    assert main(["fit", "--config", str(config)]) == 2
    assert f"data.{name}: expected a value (got null); leave it out for" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_refused_resume_does_not_change_the_run(config, tmp_path, capsys):
    run, other = tmp_path / "run", tmp_path / "other.yaml"
    quick = ["--trainer.max_epochs=1", "--data.test_split=null", "--data.val_split=null"]
    assert main(["fit", "--config", str(config), *quick]) == 0

    def written():
        # TensorBoard's writer closes its file at any time.
        found = (path for path in run.rglob("*") if path.is_file())
        return {path: path.stat().st_mtime_ns for path in found if path.parent.name != "events"}

    before = written()
    assert main(["fit", "--resume", str(run), "--model.options.num_latents=3"]) == 2
    other.write_text(f"{{out: {tmp_path / 'elsewhere'}, trainer: {{max_epochs: 1}}}}")
    assert main(["fit", "--resume", str(run), "--out", str(tmp_path / "b")]) == 2
    assert "leave out --out" in capsys.readouterr().err
    assert written() == before
    assert main(["fit", "--resume", str(run), "--config", str(other)]) == 0
    assert not (tmp_path / "elsewhere").exists()
    # Without a checkpoint there is nothing to resume.
    (run / "checkpoints" / "last.ckpt").unlink()
    assert main(["fit", "--resume", str(run)]) == 2
    assert "start a new run by --overwrite" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore")
def test_errors_in_the_library_are_raised(config, monkeypatch):
    def fails(*args, **kwargs):
        raise TypeError("a mistake")

    monkeypatch.setattr("flare_mesh.training.module.FieldModule.training_step", fails)
    with pytest.raises(TypeError, match="a mistake"):
        main(["fit", "--config", str(config)])


def test_bad_configurations(config, tmp_path, capsys):
    def refused(*arguments):
        before = set(tmp_path.iterdir())
        assert main([*arguments]) == 2
        assert set(tmp_path.iterdir()) == before
        error = capsys.readouterr().err
        assert len(error.splitlines()) == 1
        return error

    fit = ["fit", "--config", str(config)]
    assert "did you mean 'model.optimizer.lr'" in refused(*fit, "--model.optimizer.lrr=1")
    assert "did you mean 'data.root'" in refused(*fit, "--data.roots=x")
    assert "expected 'lr' > 0" in refused(*fit, "--model.optimizer.lr=-1")
    assert "unknown model 'flrae'" in refused(*fit, "--model.name=flrae")
    assert "did you mean 'heads'" in refused(*fit, "--model.options.heds=3")
    assert "data set 'lpbff'; did you mean 'lpbf'" in refused(*fit, "--data.name=lpbff")
    assert "no option 'target'; did you mean 'targets'" in refused(*fit, "--data.options.target=x")
    assert "has 3; leave it out" in refused(*fit, "--model.options.pos_dim=2")
    assert "keep: expected 'best' or 'last'" in refused(*fit, "--keep=first")
    assert "needs validation cases" in refused(*fit, "--keep=best", "--data.val_split=null")
    assert "no such configuration" in refused("fit", "--config", "nowhere")
    assert "no run in this folder" in refused("fit", "--resume", str(tmp_path / "nowhere"))
    assert "no run in this folder" in refused("test", "--run", str(tmp_path / "nowhere"))
    assert "no checkpoint" in refused("test", "--config", str(config))
    assert "no cases" in refused(*fit, "--data.root=nowhere")
    assert "expected a value after it" in refused("fit", "--config")
    bad = tmp_path / "bad.yaml"
    bad.write_text("model:\n  optionss: {}\n")
    assert "bad.yaml: unknown option 'model.optionss'; did you mean 'model.options'" in refused(
        "fit", "--config", str(bad)
    )
    bad.write_text("model: [1\n")
    assert "bad.yaml: not a YAML file" in refused("fit", "--config", str(bad))
    bad.write_bytes(b"hello")
    assert "bad.yaml: damaged" in refused(*fit, f"--ckpt_path={bad}")
    assert "unknown command 'fitt'; did you mean 'fit'" in refused("fitt")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_checkpoint_of_another_model_is_refused(config, tmp_path, capsys):
    run, other = tmp_path / "run", tmp_path / "other"
    quick = ["--data.val_split=null", "--data.test_split=null", "--trainer.max_epochs=1"]
    assert main(["fit", "--config", str(config), *quick]) == 0
    last = run / "checkpoints" / "last.ckpt"
    changed = ["--out", str(other), "--model.options.num_latents=3", f"--ckpt_path={last}"]
    assert main(["fit", "--config", str(config), *quick, *changed]) == 2
    assert "model.num_latents is 3 here, 2 in the checkpoint" in capsys.readouterr().err


def command(*arguments):
    return [sys.executable, "-W", "ignore", "-m", "flare_mesh", *map(str, arguments)]


def weights(run):
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]


def table(run):
    """Rows of the metrics without their seconds, which are the last."""
    with (run / "metrics.csv").open() as file:
        return [row[:-1] for row in csv.reader(file)]


STEPS = ["--checkpoint_steps=1", "--trainer.max_epochs=24"]
PAIRS = ["--trainer.max_epochs=2", "--trainer.logger=false", "--data.val_split=0.5",
         "--data.augment=[random_square_symmetry]"]  # fmt: skip


def fit_here(folder, lpbf_root, *options):
    """The run's folder of a training in this process."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert main(["fit", "--config", str(write_config(folder, lpbf_root)), *options]) == 0
    return folder / "run"


@pytest.fixture(scope="module")
def uninterrupted(lpbf_root, tmp_path_factory):
    return fit_here(tmp_path_factory.mktemp("uninterrupted"), lpbf_root, *STEPS)


@pytest.fixture(scope="module")
def one_process(lpbf_root, tmp_path_factory):
    return fit_here(tmp_path_factory.mktemp("one"), lpbf_root, *PAIRS, "--data.batch_size=2")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_killed_and_resumed_run_equals_an_uninterrupted_one(
    config, tmp_path, capsys, uninterrupted, number
):
    killed = tmp_path / "killed"
    process = subprocess.Popen(
        command("fit", "--config", config, *STEPS, "--out", killed),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    rows, deadline = killed / "metrics.csv", time.monotonic() + 300
    while not rows.exists() or len(rows.read_text().splitlines()) <= 6:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(process.pid, number)
    process.communicate(timeout=300)
    codes = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGKILL: -signal.SIGKILL}
    assert process.returncode == codes[number]
    found = torch.load(killed / "checkpoints" / "last.ckpt", weights_only=True)
    assert found["global_step"] < 72
    assert main(["fit", "--resume", str(killed), *STEPS]) == 0
    assert "kept the best epoch" in capsys.readouterr().out
    expected = weights(uninterrupted)
    for name, value in weights(killed).items():
        assert torch.equal(value, expected[name]), name
    assert table(killed) == table(uninterrupted)


@pytest.mark.slow
@pytest.mark.parametrize("shards", [1, 2])
def test_two_processes_train_as_one(config, tmp_path, one_process, shards):
    """Each takes half of the cases of a batch, or half of the nodes of each case."""
    two = tmp_path / "two"
    several = [
        *("--out", two, "--trainer.devices=2", "--trainer.strategy=ddp"),
        *(f"--data.batch_size={shards}", f"--model.shards={shards}"),
    ]
    arguments = command("fit", "--config", config, *PAIRS, *several)
    subprocess.run(arguments, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=True, timeout=300)
    assert table(two)[0] == table(one_process)[0]
    numbers = (np.array(table(run)[1:], float) for run in (two, one_process))
    np.testing.assert_allclose(*numbers, rtol=1e-5, atol=1e-10)
    # A single small mesh is mixed by SDPA and two by the compiled loops, which round differently.
    for name, value in weights(one_process).items():
        torch.testing.assert_close(weights(two)[name], value, rtol=1e-3, atol=1e-5)
    errors = [json.loads((run / "summary.json").read_text()) for run in (one_process, two)]
    assert errors[1]["test_relative_l2"] == pytest.approx(errors[0]["test_relative_l2"], rel=1e-5)


@pytest.mark.slow
def test_own_model_and_data_set(own_code, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = {"name": "own_code:Net", "optimizer": {"lr": 1e-2}}
    data = {"name": "own_code:Plates", "options": {"count": 5, "targets": {"s": 1, "u": 2}}}
    trainer = {"max_epochs": 1, "accelerator": "cpu", "logger": False}
    options = {"out": "run", "trainer": trainer, "model": model, "data": data, "baselines": False}
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(options))
    assert main(["fit", "--config", "own.yaml"]) == 2
    error = capsys.readouterr().err
    assert "'own_code:Net' is code outside flare-mesh" in error or "own_code:Plates" in error
    assert error.count("\n") == 1
    assert not own_code.exists()
    (tmp_path / "asks.yaml").write_text(yaml.safe_dump({**options, "trust_code": True}))
    assert main(["fit", "--config", "asks.yaml"]) == 2
    assert "unknown option 'trust_code'" in capsys.readouterr().err

    assert main(["fit", "--config", "own.yaml", "--trust-code"]) == 0
    assert load_surrogate("run", trust_code=True).fields == {"s": 1, "u": 2}
    assert main(["test", "--run", "run"]) == 2
    assert "--trust-code" in capsys.readouterr().err
    wrong = ["fit", "--config", "own.yaml", "--trust-code", "--overwrite"]
    for option, message in (
        ("--model.options={hidden: 3}", "did you mean 'hidden_channels'?"),
        ("--data.options={count: 5, targets: {s: 1}}", "3 in total as in 'y'"),
    ):
        assert main([*wrong, option]) == 2
        assert re.search(message, capsys.readouterr().err)
