import csv
import json
import signal
import statistics
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from matplotlib.figure import Figure

from flare_mesh.baselines import NodeMLP
from flare_mesh.cli import main
from flare_mesh.commands import benchmark_runs
from flare_mesh.commands.benchmark import benchmark
from flare_mesh.commands.benchmark_needs import with_edges
from flare_mesh.commands.benchmark_results import (
    draw_results,
    label_log_axis,
    summarize,
    write_tables,
)
from flare_mesh.commands.benchmark_runs import finish_run, result_of
from flare_mesh.commands.benchmark_sizes import match_parameters
from flare_mesh.mesh import MeshData
from flare_mesh.models import MODELS, build
from flare_mesh.nn.mixer import MIXERS
from flare_mesh.training.data_module import FieldDataModule

FLARE = {"name": "flare", "options": {"hidden_channels": 8, "num_layers": 1, "heads": 2,
                                      "num_latents": 4}}  # fmt: skip
SUMMARY = {
    "parameters": 100,
    "epochs": 3,
    "steps": 12,
    "kept": "last",
    "train_seconds": 1.5,
    "seconds_per_step": 0.125,
    "peak_memory_bytes": 2_000_000,
}


@pytest.fixture
def config(tmp_path):
    rng = np.random.default_rng(0)
    folder = tmp_path / "data" / "elasticity" / "Meshes"
    folder.mkdir(parents=True)
    np.save(folder / "Random_UnitCell_XY_10.npy", rng.random((20, 2, 6), np.float32))
    np.save(folder / "Random_UnitCell_sigma_10.npy", 1 + rng.random((20, 6), np.float32))
    path = tmp_path / "elasticity.yaml"
    values = {
        "trainer": {"max_epochs": 1, "accelerator": "cpu"},
        "model": {"name": "flare", "optimizer": {"lr": 0.002}, "options": {"heads": 4}},
        "data": {"name": "elasticity", "root": str(tmp_path / "data"), "in_memory": True},
    }
    path.write_text(yaml.safe_dump(values))
    return str(path)


@pytest.fixture
def processes(monkeypatch):
    """Replaces the training processes: writes a run's files, and records the options."""
    asked = []

    class Process:
        def __init__(self, command, stdout, **options):
            asked.append(command[4:])
            given = None
            if command[4] == "--config":
                given = yaml.safe_load(benchmark_runs.Path(command[5]).read_text())
            self.code = 2 if given and given["model"]["name"] == "transolver" else 0
            stdout.write("epoch 1\n" if self.code == 0 else "error: no luck\n")
            if self.code or given is None:
                return
            error = 0.1 + 0.01 * given["seed_everything"]
            folder = benchmark_runs.Path(given["out"])
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "summary.json").write_text(
                json.dumps(SUMMARY | {"test_relative_l2": {"stress": error}})
            )

        def wait(self):
            return self.code

    monkeypatch.setattr(benchmark_runs.subprocess, "Popen", Process)
    return asked


def read(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_benchmark(config, tmp_path, capsys):
    out = tmp_path / "bench"
    models = {"small": FLARE, "odd": {"name": "flare", "options": {"heads": 7}}}
    arguments = ["--data", config, "--models", json.dumps(models), "--out", str(out),
                 "--seeds", "1", "--seconds", "8"]  # fmt: skip
    assert main(["benchmark", *arguments]) == 0
    printed = capsys.readouterr().out
    rows = {row["model"]: row for row in read(out / "table.csv")}
    assert 0 < float(rows["small"]["relative_l2"]) < 10
    assert float(rows["small"]["steps"]) >= 20
    assert 4 < float(rows["small"]["train_seconds"]) < 12
    assert float(rows["small"]["peak_memory_mb"]) > 50
    assert rows["odd"]["runs"] == "0 of 1"
    assert "heads" in rows["odd"]["failed"]
    assert (out / "table.md").read_text() in printed
    assert (out / "results.png").read_bytes()[:4] == b"\x89PNG"


def test_models_and_their_recipes(config, processes, tmp_path):
    out = tmp_path / "bench"
    other = tmp_path / "other.yaml"
    other.write_text(yaml.safe_dump({
        "trainer": {"max_epochs": 9, "gradient_clip_val": 0.1},
        "model": {**FLARE, "loss": {"name": "mse"}},
        "data": {"name": "darcy"},
    }))  # fmt: skip
    models = {"flare": None, "small": FLARE, "configured": str(other)}
    benchmark(config, models, out=str(out), seeds=2, epochs=4)
    asked = {label: yaml.safe_load((out / label / "seed_1.yaml").read_text()) for label in models}
    assert asked["flare"]["model"] == {
        "name": "flare",
        "optimizer": {"lr": 0.002},
        "options": {"heads": 4},
    }
    assert asked["small"]["model"] == {**FLARE, "optimizer": {"lr": 0.002}}
    assert asked["configured"]["model"] == {**FLARE, "loss": {"name": "mse"}}
    assert asked["configured"]["trainer"]["gradient_clip_val"] == 0.1
    for given in asked.values():
        assert given["seed_everything"] == 1
        assert given["trainer"]["max_epochs"] == 4
        assert given["data"]["name"] == "elasticity"
    rows = read(out / "table.csv")
    assert [row["model"] for row in rows] == [*models]
    assert float(rows[0]["relative_l2"]) == pytest.approx(0.105)
    assert float(rows[0]["relative_l2_std"]) == pytest.approx(statistics.stdev([0.1, 0.11]))
    assert (out / "results.png").is_file()


def test_a_benchmark_started_again_runs_what_is_missing(config, processes, tmp_path, capsys):
    out = tmp_path / "bench"
    benchmark(config, ["flare", "transolver"], out=str(out), seeds=2)
    assert len(processes) == 4
    table = (out / "table.md").read_text()
    assert "| transolver | 0 of 2 |" in table
    assert "no luck" in table
    processes.clear()
    benchmark(config, ["flare", "transolver"], out=str(out), seeds=3)
    assert [options[1] for options in processes] == [
        str(out / place)
        for place in (
            "flare/seed_2.yaml",
            "transolver/seed_0.yaml",
            "transolver/seed_1.yaml",
            "transolver/seed_2.yaml",
        )
    ]
    with pytest.raises(ValueError, match=r"flare/seed_0: has a run with another configuration"):
        benchmark(config, "flare", out=str(out), epochs=7)
    processes.clear()
    benchmark(config, "flare", out=str(out), epochs=7, overwrite=True)
    assert len(processes) == 3


def test_an_unfinished_run_is_resumed(processes, tmp_path):
    run = tmp_path / "seed_0"
    given = {"model": FLARE, "seed_everything": 0}
    assert finish_run(run, given) == ""
    (run / "summary.json").unlink()
    (run / "checkpoints").mkdir()
    for name in ("config.yaml", "checkpoints/last.ckpt"):
        (run / name).touch()
    finish_run(run, given)
    assert processes[-1] == ["--resume", str(run)]


def test_one_length_of_training(config, processes, tmp_path):
    out = tmp_path / "bench"
    with open(config, "a") as file:
        file.write("keep: last\ncheckpoint_steps: 50\nbudget: 3m\n")
    for options, budget, lengths in (
        ({}, "3m", {"max_epochs": 1}),
        ({"seconds": 60.0}, 60.0, {}),
        ({"epochs": 7}, None, {"max_epochs": 7}),
    ):
        benchmark(config, "flare", out=str(out), seeds=1, overwrite=True, **options)
        asked = yaml.safe_load((out / "flare" / "seed_0.yaml").read_text())
        assert (asked["keep"], asked["checkpoint_steps"]) == ("last", 50)
        assert asked["budget"] == budget
        assert asked["trainer"] == {"accelerator": "cpu", **lengths}


def test_models_by_name_have_the_sizes_of_the_data_file(config, processes, tmp_path, capsys):
    values = yaml.safe_load(Path(config).read_text())
    values["model"]["options"] = {"hidden_channels": 16, "num_layers": 2, "kv_layers": 1}
    Path(config).write_text(yaml.safe_dump(values))
    out = tmp_path / "bench"
    models = {
        "flare": None,
        "transformer": None,
        "narrow": {"name": "lno", "options": {"heads": 4}},
    }
    benchmark(config, models, out=str(out), seeds=1)
    asked = {
        label: yaml.safe_load((out / label / "seed_0.yaml").read_text())["model"]["options"]
        for label in models
    }
    assert asked["flare"] == values["model"]["options"]
    # With the width come the heads, which divide it: the transformer's own five would not.
    assert asked["transformer"] == {"hidden_channels": 16, "num_layers": 2, "heads": 8}
    assert asked["narrow"] == {"hidden_channels": 16, "num_layers": 2, "heads": 4}
    printed = capsys.readouterr().out.splitlines()
    model = build("flare", in_channels=0, out_channels=1, pos_dim=2, **asked["flare"])
    count = sum(p.numel() for p in model.parameters())
    assert printed[0].startswith(f"flare: {count:,} parameters, ")


LATENTS = {
    "flare_shared": {"num_latents": 5},
    "linformer": {"num_latents": 5},
    "physics": {"num_slices": 5},
}


def test_all_models_and_mixing_layers(config, processes, tmp_path):
    """Mixing layers are in the backbone, with the sizes and latents of the data's own model."""
    values = yaml.safe_load(Path(config).read_text())
    values["model"]["options"] = {"hidden_channels": 16, "num_layers": 2, "num_latents": 5}
    Path(config).write_text(yaml.safe_dump(values))
    out = tmp_path / "bench"
    benchmark(config, ["all"], out=str(out), seeds=1)
    sizes = {"hidden_channels": 16, "num_layers": 2, "heads": 8}
    for label in {*MODELS, *MIXERS} - {"backbone"}:
        asked = yaml.safe_load((out / label / "seed_0.yaml").read_text())["model"]
        assert asked["name"] == (label if label in MODELS else "backbone")
        if label in MIXERS:
            options = asked["options"]
            assert options.pop("mixer") == label
            own = options.pop("mixer_options", {})
            assert {k: v for k, v in own.items() if k != "max_nodes"} == LATENTS.get(label, {})
            assert options == sizes
    assert not (out / "backbone").exists()


def test_what_models_need_is_added(config, processes, tmp_path, capsys):
    """Edges to models that use some, and the nodes of the largest case as the linformer's limit."""
    values = yaml.safe_load(Path(config).read_text())
    models = ["flare", "meshgraphnet", "geotransolver", "linformer"]
    out = tmp_path / "bench"

    def ask(features):
        Path(config).write_text(
            yaml.safe_dump(values | {"data": values["data"] | {"features": features}})
        )
        benchmark(config, models, out=str(out), seeds=1, overwrite=True)
        files = {label: out / label / "seed_0.yaml" for label in models}
        return {label: yaml.safe_load(file.read_text()) for label, file in files.items()}

    bounds = {"geometry_features": {"kind": "points"}}
    asked = ask([bounds])
    features = {label: given["data"]["features"] for label, given in asked.items()}
    assert features == {
        "flare": [bounds],
        "meshgraphnet": [bounds, {"knn_edges": {"k": 6}}],
        "geotransolver": [bounds, {"knn_edges": {"k": 31}}],
        "linformer": [bounds],
    }
    assert asked["linformer"]["model"]["options"]["mixer_options"]["max_nodes"] == 20
    printed = capsys.readouterr().out
    assert (
        "meshgraphnet: needs edges, which data.features does not make; adds knn_edges: " in printed
    )
    assert "linformer: max_nodes 20, the nodes of the largest case\n" in printed
    own = [{"radius_edges": {"radius": 0.3}}]
    assert {str(given["data"]["features"]) for given in ask(own).values()} == {str(own)}
    assert "needs edges" not in capsys.readouterr().out


def test_edges_of_cells():
    mesh = MeshData(pos=torch.rand(3, 2), triangle=torch.tensor([[0, 1, 2]]), y=torch.rand(3, 1))
    data = FieldDataModule.from_cases([mesh])
    model = build("meshgraphnet", in_channels=0, out_channels=1, hidden_channels=4, num_layers=1)
    assert with_edges({"data": {}}, "mgn", model, data) == {"data": {"features": ["mesh_edges"]}}


@pytest.mark.slow
def test_all_models_and_mixing_layers_train(config, tmp_path, monkeypatch):
    """All of them for one epoch, in this process."""
    values = yaml.safe_load(Path(config).read_text())
    values["model"]["options"] = {"hidden_channels": 16, "num_layers": 1, "heads": 2}
    values["model"]["options"]["num_latents"] = 4
    values["trainer"] |= {"enable_progress_bar": False}
    Path(config).write_text(yaml.safe_dump(values))
    monkeypatch.setattr(
        benchmark_runs, "_fit", lambda run, options: "failed" * bool(main(["fit", *options]))
    )
    out = tmp_path / "bench"
    benchmark(config, ["all"], out=str(out), seeds=1)
    rows = read(out / "results.csv")
    assert {row["model"] for row in rows} == {*MODELS, *MIXERS} - {"backbone"}
    assert {row["failed"] for row in rows} == {""}
    assert all(0 < float(row["relative_l2"]) < 10 for row in rows)


def test_matched_parameters(config, processes, tmp_path, capsys):
    out = tmp_path / "bench"
    small = {"hidden_channels": 32, "num_layers": 1, "heads": 2, "num_latents": 4}
    one_layer = {"options": {"num_layers": 1}}
    models = {"flare": {"options": small}, "transformer": one_layer, "lno": one_layer}
    benchmark(config, models, out=str(out), seeds=1, match_parameters=True)
    counts = {}
    for label in models:
        options = yaml.safe_load((out / label / "seed_0.yaml").read_text())["model"]["options"]
        model = build(label, in_channels=0, out_channels=1, pos_dim=2, **options)
        counts[label] = sum(p.numel() for p in model.parameters())
    printed = capsys.readouterr().out.splitlines()
    for line, (label, count) in zip(printed, counts.items(), strict=False):
        assert line.startswith(f"{label}: {count:,} parameters, ")
        assert count == pytest.approx(counts["flare"], rel=0.05)
    trial = build("transformer", in_channels=0, out_channels=1, num_layers=1, heads=1)
    with pytest.raises(ValueError, match=r"no width of 'transformer' has 3 parameters .*nearest"):
        match_parameters(trial, {"name": "transformer"}, 3)


def test_own_model(own_code, config, processes, tmp_path):
    out = tmp_path / "bench"
    with pytest.raises(ValueError, match="models, 'Net': 'own_code:Net' is code"):
        benchmark(config, ["own_code:Net"], out=str(out))
    benchmark(config, ["own_code:Net"], out=str(out), seeds=1, trust_code=True)
    asked = yaml.safe_load((out / "Net" / "seed_0.yaml").read_text())
    assert asked["model"]["name"] == "own_code:Net"
    assert processes[-1][-1] == "--trust-code"


@pytest.mark.parametrize(("code", "message"), [(-9, "signal 9 (out of memory?)"), (3, "exit code")])
def test_reasons_of_failed_runs(monkeypatch, tmp_path, code, message):
    class Process:
        def __init__(self, *args, **options):
            pass

        def wait(self):
            return code

    monkeypatch.setattr(benchmark_runs.subprocess, "Popen", Process)
    assert message in finish_run(tmp_path / "run", {"model": FLARE})


def test_ctrl_c_stops_the_benchmark(monkeypatch, tmp_path):
    class Process:
        def __init__(self, *args, **options):
            self.pressed = False

        def wait(self):
            if not self.pressed:
                self.pressed = True
                signal.raise_signal(signal.SIGINT)
            return 130

    monkeypatch.setattr(benchmark_runs.subprocess, "Popen", Process)
    with pytest.raises(KeyboardInterrupt):
        finish_run(tmp_path / "run", {"model": FLARE})


def test_table(tmp_path):
    done = {"model": "a", "failed": "", "parameters": 7, "ms_per_step": 2.0, "peak_memory_mb": 10.0,
            "epochs": 3, "steps": 6, "train_seconds": 1.0}  # fmt: skip
    rows = [
        {**done, "seed": 0, "relative_l2": 0.1, "ema_relative_l2": 0.3},
        {**done, "seed": 1, "relative_l2": 0.3, "ema_relative_l2": 0.3},
        {"model": "a", "seed": 2, "failed": "a|b"},
        {**done, "model": "b", "seed": 0, "relative_l2": 0.4},
    ]
    a, b = summarize(rows)
    assert a["runs"] == "2 of 3"
    assert a["relative_l2"] == pytest.approx(0.2)
    assert a["relative_l2_std"] == pytest.approx(0.2 / 2**0.5)
    assert a["ema_relative_l2_std"] == 0
    assert b["relative_l2_std"] == ""
    write_tables(tmp_path, rows)
    draw_results(tmp_path, rows[2:3])
    assert not (tmp_path / "results.png").exists()
    head, _, first, second = (tmp_path / "table.md").read_text().splitlines()
    assert head.startswith("| model | runs | relative l2 | ema relative l2 | parameters |")
    assert first.startswith("| a | 2 of 3 | 0.20000 ± 0.14142 | 0.30000 ± 0.00000 | 7 | 2.0 |")
    assert first.endswith(r"| a\|b |")
    assert second.startswith("| b | 1 of 1 | 0.40000 |  | 7 |")
    assert len(read(tmp_path / "results.csv")) == 4


def test_fields_and_averaged_weights_have_columns(tmp_path):
    errors = {"u": 0.1, "p": 0.3}
    summary = SUMMARY | {"test_relative_l2": errors, "test_ema_relative_l2": errors}
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    row = result_of(tmp_path, "")
    assert row["relative_l2"] == pytest.approx(0.2)
    assert (row["relative_l2_u"], row["ema_relative_l2_p"]) == (0.1, 0.3)
    assert (row["ms_per_step"], row["peak_memory_mb"]) == (125.0, 2.0)


def test_bad_input(config, processes, tmp_path):
    out = str(tmp_path / "bench")
    resumed = tmp_path / "resumed.yaml"
    resumed.write_text("data: {name: elasticity}\nckpt_path: last\n")
    cases = [
        (str(resumed), "flare", {}, "ckpt_path resumes one run"),
        (config, "flare", {"epochs": 1, "seconds": 1.0}, "got both"),
        (config, "flare", {"seeds": 0}, "seeds: expected at least 1"),
        (config, "flare", {"epochs": 0}, "epochs: expected more than 0"),
        (config, ["flare", "flare"], {}, "expected each name once"),
        (config, {"a": {"options": {}}}, {}, "models, 'a': unknown model 'a'"),
        (config, {"a": {"name": "flare", "options": {"head": 2}}}, {}, "'heads'"),
        (config, {"../a": FLARE}, {}, "expected names of letters"),
        (config, {}, {}, "expected at least one"),
        (config, "flair", {}, "did you mean 'flare'"),
        ("elasticty_cpu", "flare", {}, "did you mean 'elasticity_cpu'"),
        (
            str(tmp_path),
            "flare",
            {},
            "a folder, and no configuration; write one .* flare-mesh init",
        ),
        (
            config,
            {"a": {"name": "flare", "size": "auto"}},
            {"epochs": 1},
            "epochs: the size of 'a'",
        ),
    ]
    for data, models, options, message in cases:
        with pytest.raises((ValueError, FileNotFoundError), match=message):
            benchmark(data, models, out=out, **options)
    assert processes == []
    with pytest.raises(ValueError, match=r"all runs failed; the first: no luck"):
        benchmark(config, "transolver", out=out)


def test_baselines_in_the_table(config, processes, tmp_path, monkeypatch):
    defaults = NodeMLP.__init__.__kwdefaults__
    monkeypatch.setattr(NodeMLP.__init__, "__kwdefaults__", {**defaults, "steps": 20})
    out = tmp_path / "out"
    benchmark(config, ["baselines", "flare"], out=str(out), seeds=2)
    rows = {(row["model"], row["seed"]): row for row in read(out / "results.csv")}
    names = ["training_mean", "nearest_case", "nearest_nodes", "ridge"]
    assert [*rows] == [
        *((name, "0") for name in names),
        *(("node_mlp", seed) for seed in "01"),
        *(("flare", seed) for seed in "01"),
    ]
    # The targets are between 1 and 2, so that their mean is a good prediction.
    assert 0.1 < float(rows["training_mean", "0"]["relative_l2"]) < 0.3
    assert rows["ridge", "0"]["parameters"] == ""
    table = (out / "table.md").read_text()
    assert table.count("\n| training_mean | 1 of 1 |") == 1
    assert (out / "results.png").stat().st_size > 1000
    assert (
        main(["benchmark", "--data", config, "--models", "ridge", "--out", f"{tmp_path}/one"]) == 0
    )
    assert [row["model"] for row in read(tmp_path / "one/table.csv")] == ["ridge"]


@pytest.mark.parametrize("values", [(522.3, 695.4), (22_541, 34_917), (0.0615, 0.257), (3, 9e5)])
def test_labels_of_the_figure_do_not_overlap(values):
    ax = Figure(figsize=(4, 3)).subplots()
    ax.plot(values, values, "o")
    ax.set(xscale="log", yscale="log")
    label_log_axis(ax.xaxis)
    ax.figure.canvas.draw()
    low, high = ax.get_xlim()
    every = [*ax.get_xticklabels(), *ax.get_xticklabels(minor=True)]
    shown = [one for one in every if one.get_text() and low <= one.get_position()[0] <= high]
    assert len(shown) >= 2
    boxes = sorted((one.get_window_extent() for one in shown), key=lambda box: box.x0)
    assert all(a.x1 < b.x0 for a, b in pairwise(boxes))
    assert all(float(one.get_text().replace(",", "")) > 0 for one in shown)
