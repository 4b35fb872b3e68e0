import pytest
from jsonargparse import ArgumentError

from flare_mesh.cli import main
from flare_mesh.commands.parser import CommandParser, one_line


def command(model: str, batch_size: int = 8, skip_bad: bool = False, fast: bool = True) -> None:
    """Run something.

    Args:
        model: A folder.
        batch_size: Meshes in one batch.
        skip_bad: Skip bad meshes.
        fast: Be fast.
    """


def parse(*args):
    return CommandParser("command", command).parse(["--model", "a", *args])


def test_booleans_are_switches():
    assert parse() == {"model": "a"}  # the function has the defaults
    assert parse("--skip-bad", "--no-fast") == {"model": "a", "skip_bad": True, "fast": False}
    assert parse("--skip_bad", "--no-skip_bad") == {"model": "a"}
    for given in (["--fast=true"], ["--fast", "true"], ["--no-fast", "no"]):
        with pytest.raises(ArgumentError):
            parse(*given)


def test_dashes_or_underscores():
    assert parse("--batch-size", "3") == parse("--batch_size=3") == {"model": "a", "batch_size": 3}
    with pytest.raises(ValueError, match=r"unknown option '--batch-sise'; did you mean 'batch-si"):
        parse("--batch_sise", "3")


def test_options_from_a_file(tmp_path):
    path = tmp_path / "options.yaml"
    path.write_text("batch_size: 5\nskip_bad: true\n")
    found = parse("--config", str(path), "--no-skip-bad")
    assert found == {"model": "a", "batch_size": 5}


def test_more_options():
    parser = CommandParser("command", command)
    parser.add_argument("--num_steps", type=int, default=1)
    parser.add_argument("--simulate", type=bool, default=False)
    found = parser.parse(["--model", "a", "--num-steps", "2", "--simulate"])
    assert found == {"model": "a", "num_steps": 2, "simulate": True}


def test_help(capsys):
    with pytest.raises(SystemExit):
        parse("--help")
    printed = capsys.readouterr().out
    assert "usage: flare-mesh command " in printed
    assert "--skip-bad, --no-skip-bad" in printed
    assert "Meshes in one batch." in printed


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("model.rollout.noise=-1", "rollout.noise: expected at least 0 (got -1.0)"),
        ("model.rollout.feedbak=truth", "Option 'feedbak' is not accepted"),
        ("trainer.precision=99", "trainer.precision: expected one of [64, 32, 16] or one of"),
        ("trainer.callbacks=[{class_path: lightning.pytorch.callbacks.Stop}]", "Stop' is not one"),
        ("model.optimizer.lr=abc", "model.optimizer.lr: expected float (got abc)"),
        ("data.augment=3", "data.augment: expected list (got 3)"),
    ],
)
def test_wrong_values_in_one_line(tmp_path, capsys, option, message):
    path = tmp_path / "config.yaml"
    path.write_text(f"out: {tmp_path / 'run'}\n")
    assert main(["fit", "--config", str(path), f"--{option}"]) == 2
    printed = capsys.readouterr().err
    assert message in printed
    assert len(printed.splitlines()) == 1
    assert len(printed) < 250
    assert not any(word in printed for word in ("Union", "NoneType", "<class", "Namespace"))


def test_messages_without_a_union():
    assert one_line("x: expected 3") == "x: expected 3"
    assert one_line('Parser key "a.b": wrong\nby far') == "a.b: wrong by far"
