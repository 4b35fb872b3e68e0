import pytest

from flare_mesh.cli import main
from flare_mesh.commands.parser_message import parser_message


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("model.rollout.noise=-1", "rollout.noise: expected at least 0 (got -1.0)"),
        ("model.rollout.feedbak=truth", "Option 'feedbak' is not accepted"),
        ("trainer.precision=99", "trainer.precision: expected one of 64, 32, 16; or expected one"),
        ("trainer.callbacks=[{class_path: lightning.pytorch.callbacks.Stop}]", "attribute 'Stop'"),
        ("model.optimizer.lr=abc", "model.optimizer.lr: expected float. Got value: abc"),
        ("data.augment=3", "data.augment: expected list"),
    ],
)
def test_wrong_values_are_told_in_one_line(tmp_path, capsys, option, message):
    path = tmp_path / "config.yaml"
    path.write_text(f"out: {tmp_path / 'run'}\n")
    assert main(["fit", "--config", str(path), f"--{option}"]) == 2
    told = capsys.readouterr().err
    assert message in told
    assert len(told.splitlines()) == 1
    assert len(told) < 250
    assert not any(word in told for word in ("Union", "NoneType", "<class", "Namespace"))


def test_what_is_clear_stays():
    assert parser_message("x: expected 3") == "x: expected 3"
    assert parser_message('Parser key "a.b": wrong\nby far') == "a.b: wrong by far"
