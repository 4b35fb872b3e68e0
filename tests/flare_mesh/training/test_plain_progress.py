import math
from types import SimpleNamespace

import pytest

from flare_mesh.training.plain_progress import PlainProgress


def lines(capsys, epochs, total, stop=False):
    """What is printed in a run with four steps an epoch."""
    progress = PlainProgress()
    for epoch in range(epochs):
        trainer = SimpleNamespace(
            current_epoch=epoch, global_step=4 * (epoch + 1), is_global_zero=True,
            estimated_stepping_batches=total, should_stop=stop and epoch == epochs - 1,
            progress_bar_metrics={"train_loss": 0.5},
        )  # fmt: skip
        progress.on_train_epoch_end(trainer, None)
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(("epochs", "expected"), [(3, 3), (10, 10), (15, 10), (500, 10)])
def test_a_line_for_each_tenth(capsys, epochs, expected):
    found = lines(capsys, epochs, 4 * epochs)
    assert len(found) == expected
    assert found[-1] == f"epoch {epochs}, step {4 * epochs}/{4 * epochs}: train loss 0.5000"


def test_a_run_that_is_stopped_prints_its_end(capsys):
    found = lines(capsys, 101, 4 * 1000, stop=True)
    assert [line.split(",")[0] for line in found] == ["epoch 100", "epoch 101"]


def test_a_run_without_an_end_prints_each_epoch(capsys):
    found = lines(capsys, 3, math.inf)
    assert len(found) == 3
    assert found[-1] == "epoch 3, step 12: train loss 0.5000"
