from types import SimpleNamespace

import pytest

from flare_mesh.training.print_progress import PrintProgress
from flare_mesh.training.run_folder import RunFolder


def lines(tmp_path, capsys, ends, **limits):
    run = RunFolder(tmp_path, "")
    progress = PrintProgress(run)
    for epoch in range(ends):
        run.rows.append({"train_loss": 0.5})
        trainer = SimpleNamespace(
            **limits, current_epoch=epoch, global_step=4 * (epoch + 1), is_global_zero=True,
            should_stop=limits["max_time"] and epoch == ends - 1,
        )  # fmt: skip
        progress.on_train_epoch_end(trainer, None)
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(("epochs", "expected"), [(3, 3), (10, 10), (15, 10), (500, 10)])
def test_a_line_for_each_tenth(tmp_path, capsys, epochs, expected):
    found = lines(tmp_path, capsys, epochs, max_epochs=epochs, max_steps=-1, max_time=False)
    assert len(found) == expected
    assert found[-1] == f"epoch {epochs}/{epochs}: train loss 0.5000"


def test_steps_count_where_they_end_the_run(tmp_path, capsys):
    found = lines(tmp_path, capsys, 100, max_epochs=-1, max_steps=400, max_time=False)
    assert found[0] == "epoch 10, step 40/400: train loss 0.5000"
    assert len(found) == 10


def test_without_an_end_lines_become_rarer(tmp_path, capsys):
    found = lines(tmp_path, capsys, 200, max_epochs=-1, max_steps=-1, max_time=True)
    assert found[0] == "epoch 1: train loss 0.5000"
    assert found[-1] == "epoch 200: train loss 0.5000"
    assert len(found) < 25
