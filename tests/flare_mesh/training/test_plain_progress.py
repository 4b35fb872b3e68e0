import math
from types import SimpleNamespace

import pytest

from flare_mesh.training.plain_progress import PlainProgress
from flare_mesh.training.time_budget import TimeBudget


def lines(capsys, epochs, total, stop=False):
    """What is printed in a run with four steps an epoch."""
    progress = PlainProgress()
    for epoch in range(epochs):
        trainer = SimpleNamespace(
            current_epoch=epoch, global_step=4 * (epoch + 1), is_global_zero=True,
            estimated_stepping_batches=total, should_stop=stop and epoch == epochs - 1,
            progress_bar_metrics={"train_loss": 0.5}, callbacks=[],
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


def test_a_run_by_the_clock_prints_every_half_minute(capsys):
    now = [100.0]
    budget, progress = TimeBudget("2m", clock=lambda: now[0]), PlainProgress()
    trainer = SimpleNamespace(
        global_step=0, is_global_zero=True, should_stop=False, is_last_batch=False,
        progress_bar_metrics={"train_loss": 0.5}, callbacks=[budget],
    )  # fmt: skip
    budget.time.start()
    progress.on_train_start(trainer, None)
    for step in range(1, 111):
        now[0] += 1
        trainer.global_step, trainer.should_stop = step, step == 110
        trainer.is_last_batch = step % 20 == 0
        progress.on_train_batch_end(trainer)
        if trainer.is_last_batch or trainer.should_stop:
            progress.on_train_epoch_end(trainer, None)
    found = capsys.readouterr().out.splitlines()
    assert found[0] == "30s of 2m, step 30: train loss 0.5000"
    # An epoch ends with the 60th step, and the line waits for its values.
    assert [line.split(":")[0] for line in found[1:]] == [
        "1m of 2m, step 60", "1m30s of 2m, step 90", "1m50s of 2m, step 110",
    ]  # fmt: skip
