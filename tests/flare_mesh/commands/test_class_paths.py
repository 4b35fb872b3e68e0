import pkgutil
from contextlib import suppress
from pathlib import Path

import pytest
import yaml

from flare_mesh.cli import main
from flare_mesh.commands import benchmark_runs, class_paths
from flare_mesh.commands.benchmark_runs import finish_run
from flare_mesh.commands.class_paths import CLASSES, check_class_paths, check_classes

EARLY = {"class_path": "EarlyStopping", "init_args": {"monitor": "train_loss"}}


def test_accepted_classes():
    for name, paths in CLASSES.items():
        place = "trainer.logger" if name.endswith("Logger") else "trainer.callbacks"
        for path in (name, *paths):
            check_classes({"class_path": path, "init_args": {"monitor": "val_loss"}}, place)
            check_classes([path], place)
    check_classes({"trainer": {"logger": False, "callbacks": [EARLY, None]}})
    check_classes("true", "trainer.logger")
    message = (
        r"^'trainer.callbacks': 'EarlyStoping' is not one of .*; did you mean 'EarlyStopping'\?; "
        r"if you trust all .*, add --trust-config$"
    )
    with pytest.raises(ValueError, match=message):
        check_classes({"trainer": {"callbacks": [{"class_path": "EarlyStoping"}]}})


def test_trust_is_for_the_trainer():
    check_classes({"trainer": {"strategy": {"class_path": "my.Strategy"}}}, trusted=True)
    for place in ("model.options.act", "data.features", "data.options.inputs"):
        with pytest.raises(ValueError, match=f"'{place}': expected plain values .got the class"):
            check_classes({"class_path": "my.Class"}, place, trusted=True)


def test_a_benchmark_passes_trust_on(tmp_path, monkeypatch):
    given = []
    monkeypatch.setattr(benchmark_runs, "_fit", lambda folder, options: given.append(options) or "")
    for trust in (False, True):
        finish_run(tmp_path / f"run_{trust}", {"model": {}}, trust_config=trust)
    assert ["--trust-config" in options for options in given] == [False, True]


def test_listed_paths_exist():
    for paths in CLASSES.values():
        first, second = (pkgutil.resolve_name(path) for path in paths)
        assert first is second


def test_settings_of_the_parser_are_set_back():
    before = dict(class_paths.parsing_settings)
    with class_paths.limited_imports():
        assert class_paths.parsing_settings["import_path_verdicts"]["*"] is False
    assert dict(class_paths.parsing_settings) == before
    with suppress(KeyError), class_paths.limited_imports():
        raise KeyError
    assert dict(class_paths.parsing_settings) == before


@pytest.mark.parametrize(
    ("value", "accepted"),
    [
        ("logs", True),
        ("{epoch}-{val_relative_l2:.3f}", True),
        ("./runs/../runs", False),
        ("../elsewhere", False),
        ("a/../../b", False),
        ("/etc/cron.d", False),
        ("~/.ssh", False),
        ("$HOME/x", False),
        ("s3://bucket/x", False),
        ("simplecache::memory://x", False),
        ("a\0b", False),
    ],
)
def test_classes_write_in_the_folder_of_the_run(value, accepted, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    values = {"callbacks": [{"class_path": "ModelCheckpoint", "init_args": {"dirpath": value}}]}
    folders = [Path("run"), Path.cwd()]
    if accepted:
        check_class_paths(values, folders)
        check_class_paths({"init_args": str(tmp_path / value)}, folders)
    else:
        with pytest.raises(ValueError, match=r"'trainer.callbacks.init_args.dirpath': expected"):
            check_class_paths(values, folders)


def test_links_lead_nowhere_else(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "logs").symlink_to(tmp_path)
    (tmp_path / "here" / "loop").symlink_to(tmp_path / "here" / "loop")
    monkeypatch.chdir(tmp_path / "here")
    for name in ("logs", "loop/a"):
        with pytest.raises(ValueError, match="expected a path in the run's folder"):
            check_class_paths({"init_args": {"save_dir": name}}, [Path.cwd()])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_ordinary_use(lpbf_root, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "run"
    values = {
        "out": str(run),
        "trainer": {
            "max_epochs": 1,
            "accelerator": "cpu",
            "limit_train_batches": 1,
            "callbacks": [
                {
                    "class_path": "lightning.pytorch.callbacks.EarlyStopping",
                    "init_args": {"monitor": "train_loss", "patience": 20},
                },
                {"class_path": "ModelCheckpoint", "init_args": {"dirpath": str(run / "more")}},
            ],
            "logger": {
                "class_path": "lightning.pytorch.loggers.CSVLogger",
                "init_args": {"save_dir": "logs"},
            },
        },
        "model": {
            "options": {"hidden_channels": 8, "num_layers": 1, "heads": 2, "num_latents": 2},
            "schedule": {"name": "constant"},
        },
        "data": {"name": "lpbf", "root": str(lpbf_root), "features": ["build_features"]},
    }
    path = tmp_path / "c.yaml"
    path.write_text(yaml.safe_dump(values))
    assert main(["fit", "--config", str(path)]) == 0
    assert list((tmp_path / "logs").rglob("metrics.csv"))
    assert list((run / "more").glob("*.ckpt"))
    assert main(["test", "--run", str(run)]) == 0
    # A class that is not listed needs trust, each time.
    more = ["fit", "--resume", str(run), "--trainer.max_epochs=2"]
    more.append("--trainer.callbacks=lightning.pytorch.callbacks.LambdaCallback")
    assert main(more) == 2
    assert main([*more, "--trust-config"]) == 0
    assert "trust" not in (run / "config.yaml").read_text()
    capsys.readouterr()
    assert main(["test", "--run", str(run)]) == 2
    assert "LambdaCallback' is not one of the classes" in capsys.readouterr().err
