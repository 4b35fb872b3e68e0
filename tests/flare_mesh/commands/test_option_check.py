import pytest

from flare_mesh.commands.option_check import check_arguments, check_config_file, prefixes

KNOWN = {"out", "config", "trainer.max_epochs", "data.options", "data.val_split",
         "model.optimizer.lr", "model.optimizer.name", "seed_everything"}  # fmt: skip


def write(tmp_path, text):
    path = tmp_path / "c.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    "text",
    [
        "out: a\ntrainer: {max_epochs: 3}\n",
        "data:\n  options:\n    anything: {below: 1, it: [1]}\n",
        "model:\n  optimizer:\n",  # an empty group
        "model: {optimizer: {lr: 1e-3}}\nseed_everything: 1\n",
        "\ufeffout: a\n",
        "data: {options: &a {x: 1, y: *b}}\n".replace("*b", "2"),
        "{}",
    ],
)
def test_known_options_pass(tmp_path, text):
    check_config_file(write(tmp_path, text), KNOWN)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("outt: a", "unknown option 'outt'; did you mean 'out'"),
        (
            "trainer: {max_epoch: 3}",
            "unknown option 'trainer.max_epoch'; did you mean 'trainer.max",
        ),
        ("modell: {}", "unknown option 'modell'; did you mean 'model'"),
        ("zzz: 1", "unknown option 'zzz'; choose from"),
        ("5: 1", "unknown option '5'; choose from"),
        ("null: 1", "unknown option 'None'"),
        ("model: 5", "'model': expected options below it .got 5"),
        ("model: {optimizer: [lr]}", "'model.optimizer': expected options below it"),
        ("", "expected a mapping of options .got NoneType"),
        ("- out", "expected a mapping of options .got list"),
        ("out", "expected a mapping of options .got str"),
        ("out: [", "not a YAML file"),
        ("out: 2024-13-45", "not a YAML file: month"),
        ("[" * 600, "not a YAML file"),
        (b"out: \xff", "not a YAML file"),
        (b"out: \x00", "not a YAML file"),
        ("out: !!python/object/apply:os.system [ls]", "not a YAML file"),
        ("out: a\nseed_everything: 1\nout: b", "'out' is in line 1 and in line 3; leave out"),
        ("model:\n  optimizer: {lr: 1, lr: 2}", "'model.optimizer.lr' is in line 2 and in"),
        ("data:\n  options: {a: [{b: 1, b: 2}]}", "'data.options.a.b' is in"),
        ("data: {}\ndata: {}", "'data' is in line 1 and in line 2"),
    ],
)
def test_wrong_files(tmp_path, text, message):
    with pytest.raises(ValueError, match=f"c.yaml: {message}"):
        check_config_file(write(tmp_path, text), KNOWN)


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="none.yaml"):
        check_config_file(tmp_path / "none.yaml", KNOWN)


def test_arguments():
    check_arguments(
        ["--out", "a", "--trainer.max_epochs=3", "--data.options.x.y=--z", "-c", "--data", "{}"],
        KNOWN,
    )
    for given, named in {
        "--outt=3": "'--outt'; did you mean 'out'",
        "--data.val-split=0.1": "'--data.val-split'; did you mean 'data.val_split'",
        "--model.optimizer.lrr": "'--model.optimizer.lrr'; did you mean 'model.optimizer.lr'",
        "--zzz": "'--zzz'; choose from",
    }.items():
        with pytest.raises(ValueError, match=f"unknown option {named}"):
            check_arguments(["--out=a", given], KNOWN)


def test_prefixes():
    assert prefixes("a.b.c") == ["a", "a.b"]
    assert prefixes("a") == []
