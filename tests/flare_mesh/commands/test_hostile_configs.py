"""No configuration runs code: each attack would write a file."""

import json
import sys

import pytest
import yaml
from jsonargparse import ArgumentError

from flare_mesh.cli import main
from flare_mesh.commands import training_options
from flare_mesh.commands.option_check import check_argument_values, check_config_file
from flare_mesh.commands.train import FieldCLI

OPTIONS = [
    *("model", "model.name", "model.options", "model.options.hidden_channels", "model.loss"),
    *("model.normalizers", "model.normalizers.y.shift", "model.optimizer", "model.rollout"),
    *("model.weights", "data.name", "data.options", "data.options.inputs", "data.features"),
    *("data.augment", "data.train_options.window", "data.val_split", "trainer.callbacks"),
    *("trainer.logger", "trainer.plugins", "trainer.strategy", "trainer.profiler"),
    *("trainer.accelerator", "trainer.precision", "trainer.max_time", "out", "ckpt_path"),
]
PLACES = ["model.options.hidden_channels", "data.options.inputs", "data.features",
          "trainer.callbacks", "trainer.logger", "trainer.plugins", "trainer.profiler"]  # fmt: skip
ERRORS = (ValueError, TypeError, OSError, ArgumentError)


class OptionsOnly(FieldCLI):
    """Parser of the command line, without what follows."""

    def before_instantiate_classes(self):
        pass

    def instantiate_classes(self):
        pass

    def _run_subcommand(self, subcommand):
        pass

    def build(self, *args):
        """Parse the options, and build what they describe."""
        self.parse_arguments(self.parser, ["fit", *map(str, args)])
        FieldCLI.instantiate_classes(self)


@pytest.fixture(scope="module")
def cli():
    return OptionsOnly(["fit"])


@pytest.fixture
def mark(tmp_path, monkeypatch):
    """A file that a process, or the import of the module 'hostile', would write."""
    path = tmp_path / "mark"
    (tmp_path / "hostile.py").write_text(
        f"open({str(path)!r}, 'w').close()\nclass Hostile:\n    pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    yield path
    sys.modules.pop("hostile", None)


def process(mark):
    return {"class_path": "subprocess.Popen", "init_args": {"args": ["touch", str(mark)]}}


def nested(option, value):
    for key in reversed(option.split(".")):
        value = {key: value}
    return value


def refused(cli, *args):
    with pytest.raises(ERRORS) as caught:
        cli.build(*args)
    return str(caught.value)


@pytest.mark.parametrize("option", OPTIONS)
def test_no_class_in_a_file(option, mark, tmp_path):
    path = tmp_path / "c.yaml"
    known = {*OPTIONS} - {"model", "model.loss", "model.optimizer"} | {"model.loss.name"}
    known |= {"model.optimizer.lr"}
    for value in (process(mark), [process(mark)], {"a": [[process(mark)]]}):
        for text in (json.dumps(nested(option, value)), yaml.safe_dump(nested(option, value))):
            path.write_text(text)
            with pytest.raises(ValueError, match=r"^.*c.yaml: .*(subprocess|class_path|\.a')"):
                check_config_file(path, known)
    text = json.dumps(nested(option, process(mark)))
    for name in (option, f"{option}+"):
        with pytest.raises(ValueError, match=r"subprocess.Popen"):
            check_argument_values([f"--{name}={json.dumps(process(mark))}"])
        with pytest.raises(ValueError, match=r"subprocess.Popen"):
            check_argument_values([f"--{name}", f"[{json.dumps(process(mark))}]"])
    with pytest.raises(ValueError, match=r"subprocess.Popen"):
        check_argument_values([f"--{option}.class_path=subprocess.Popen"])
    with pytest.raises(ValueError, match=r"subprocess.Popen"):
        check_argument_values([f"--{option.partition('.')[0]}", json.dumps(json.loads(text))])


@pytest.mark.parametrize("option", PLACES)
def test_nothing_runs(option, mark, tmp_path, cli):
    path = tmp_path / "c.yaml"
    hostile = {"class_path": "hostile.Hostile"}
    path.write_text(json.dumps(nested(option, [hostile])))
    error = refused(cli, "--config", path)
    assert "hostile.Hostile" in error
    assert "trust-config" in error or "expected plain values" in error
    for values in ([f"--{option}={json.dumps(process(mark))}"], [f"--{option}=hostile.Hostile"],
                   [f"--{option}.class_path=hostile.Hostile"]):  # fmt: skip
        refused(cli, *values)
    assert not mark.exists()


@pytest.mark.parametrize("option", PLACES)
def test_the_parser_imports_nothing_either(option, mark, tmp_path, cli, monkeypatch):
    """A value that the check did not recognise is not imported."""
    monkeypatch.setattr(training_options, "check_classes", lambda *a, **b: None)
    monkeypatch.setattr("flare_mesh.commands.option_check.check_classes", lambda *a, **b: None)
    path = tmp_path / "c.yaml"
    for value in ({"class_path": "hostile.Hostile"}, [{"class_path": "hostile.Hostile"}]):
        path.write_text(json.dumps(nested(option, value)))
        refused(cli, "--config", path)
    refused(cli, f"--{option}", json.dumps(process(mark)))
    refused(cli, f"--{option}.help", "hostile.Hostile")
    assert not mark.exists()


@pytest.mark.parametrize(
    "text",
    [
        # Anchors and merges.
        "x: &h {class_path: hostile.Hostile}\ntrainer: {callbacks: [*h]}",
        "trainer: {callbacks: [{<<: {class_path: hostile.Hostile}}]}",
        "trainer: {callbacks: {class_path: EarlyStopping, <<: {class_path: hostile.Hostile}}}",
        "model: {options: {hidden_channels: {<<: [{a: 1}, {class_path: hostile.Hostile}]}}}",
        # Other spellings.
        'trainer: {callbacks: {"class\\x5fpath": hostile.Hostile}}',
        "trainer: {callbacks: hostile.Hostile}",
        "trainer: {callbacks: [hostile.Hostile]}",
        "trainer: {callbacks+: hostile.Hostile}",
        "trainer.callbacks: {class_path: hostile.Hostile}",
        "trainer: {callbacks: '{class_path: hostile.Hostile}'}",
        "model: {options: {hidden_channels: '{class_path: hostile.Hostile}'}}",
        "model: {options: '{hidden_channels: {class_path: hostile.Hostile}}'}",
        "data: '{features: [{class_path: hostile.Hostile}]}'",
        "fit: {trainer: {callbacks: {class_path: hostile.Hostile}}}",
        # Within an accepted class, and through its arguments.
        "trainer: {callbacks: {class_path: EarlyStopping, init_args: {monitor: {class_path: hostile"
        ".Hostile}}}}",
        "trainer: {callbacks: {class_path: StochasticWeightAveraging, init_args: {swa_lrs: 1, "
        "avg_fn: hostile.Hostile}}}",
        "trainer: {callbacks: {class_path: LambdaCallback, init_args: {setup: hostile.Hostile}}}",
        "trainer: {logger: {class_path: lightning.pytorch.loggers.csv_logs.os.system}}",
        "trainer: {logger: {class_path: TensorBoardLogger, init_args: {save_dir: a}, dict_kwargs: "
        "{filename_suffix: /../../x}}}",
        "trainer: {logger: {class_path: WandbLogger, init_args: {project: x}}}",
        # Other files, and tags.
        "config: other.yaml",
        "config: '{trainer: {callbacks: hostile.Hostile}}'",
        "trainer: {callbacks: other.yaml}",
        "model: other.yaml",
        "__default_config__: other.yaml",
        "__path__: other.yaml",
        "trainer: {callbacks: !!python/object/apply:hostile.Hostile []}",
        "trainer: !!python/module:hostile",
        "trust_config: true\ntrainer: {callbacks: hostile.Hostile}",
        "trust-config: true\ntrainer: {callbacks: hostile.Hostile}",
        "overwrite: true",
    ],
)
def test_roundabout_ways(text, mark, tmp_path, cli):
    (tmp_path / "other.yaml").write_text("trainer: {callbacks: {class_path: hostile.Hostile}}")
    path = tmp_path / "c.yaml"
    path.write_text(text)
    refused(cli, "--config", path)
    assert not mark.exists()


def test_run_folders_are_data(mark, tmp_path, capsys):
    run = tmp_path / "run"
    run.mkdir()
    for option in ("model.options.hidden_channels", "trainer.callbacks"):
        values = nested(option, process(mark))
        (run / "config.yaml").write_text(yaml.safe_dump(values))
        for command in (["test", "--run"], ["fit", "--resume"]):
            assert main([*command, str(run)]) == 2
            assert "subprocess.Popen" in capsys.readouterr().err
    assert not mark.exists()


def test_other_ways_of_giving_a_file(mark, tmp_path, cli, capsys, monkeypatch):
    path = tmp_path / "c.yaml"
    path.write_text("trainer: {callbacks: {class_path: hostile.Hostile}}")
    assert "hostile" in refused(cli, f"--config={path}")
    assert "hostile" in refused(cli, "-c", path)
    assert "unknown option '-c" in refused(cli, f"-c{path}")
    refused(cli, "--config", path.read_text())
    refused(cli, "--config", f"file://{path}")
    for name in (path.read_text(), f"file://{path}", f"-c{path}"):
        assert main(["fit", "--config", name]) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1
    monkeypatch.setenv("JSONARGPARSE_DEFAULT_ENV", "true")
    monkeypatch.setenv("PL_FIT__TRAINER__CALLBACKS", path.read_text()[9:])
    monkeypatch.setenv("PL_FIT__CONFIG", str(path))
    refused(cli, "--out", tmp_path / "run")
    assert not mark.exists()


def test_other_commands(mark, tmp_path, capsys):
    path = tmp_path / "c.yaml"
    path.write_text("model: {class_path: hostile.Hostile}\ninput: a\nout: b")
    assert main(["predict", "--config", str(path)]) == 2
    path.write_text("data: darcy_cpu\nmodels: {flare: {options: {class_path: hostile.Hostile}}}")
    assert main(["benchmark", "--config", str(path)]) == 2
    path.write_text("data: darcy_cpu\nmodels: flare\ntrust_config: true")
    assert main(["benchmark", "--config", str(path)]) == 2
    assert "unknown option 'trust_config'" in capsys.readouterr().err
    assert not mark.exists()


@pytest.mark.parametrize("option", ["trainer.strategy", "trainer.profiler", "model.rollout"])
def test_values_are_no_paths_of_files(option, mark, tmp_path, cli):
    """The limits of a configuration would not hold for such a file."""
    other, path = tmp_path / "other.yaml", tmp_path / "c.yaml"
    other.write_text("{class_path: hostile.Hostile, init_args: {a: " + "[" * 500 + "]" * 500 + "}}")
    path.write_text(json.dumps(nested(option, str(other))))
    errors = [refused(cli, "--config", path), refused(cli, f"--{option}={other}")]
    assert not any("hostile" in error or "[[" in error for error in errors)
    for group in ("model", "model.loss", "data", "trainer"):
        assert f"{group}: expected a mapping" in refused(cli, f"--{group}={other}")
    assert not mark.exists()


def test_long_values_give_a_short_line(capsys):
    for value in ("9" * 9000, "x" * 9000, "[" * 9000):
        assert main(["fit", f"--trainer.max_epochs={value}"]) == 2
        assert len(capsys.readouterr().err) < 3100


def test_the_configuration_of_a_benchmark(mark, tmp_path, capsys):
    path = tmp_path / "c.yaml"
    trainer = {"callbacks": [{"class_path": "hostile.Hostile"}]}
    path.write_text(yaml.safe_dump({"data": {"root": "."}, "model": {}, "trainer": trainer}))
    assert main(["benchmark", "--data", str(path), "--models", "flare", "--out", "b"]) == 2
    assert "'trainer.callbacks': 'hostile.Hostile' is not one of" in capsys.readouterr().err
    assert not mark.exists()
    assert not (tmp_path / "b").exists()
