import os
import signal
import warnings

import pytest
import torch
from lightning import Trainer
from lightning.pytorch.callbacks import Callback
from torch_geometric.loader import DataLoader

from flare_mesh import FLAREOperator
from flare_mesh.surrogate.surrogate import Surrogate
from flare_mesh.testing import random_graph
from flare_mesh.training import FieldModule
from flare_mesh.training.interrupted import InterruptedTraining
from flare_mesh.training.last_checkpoint import LastCheckpoint


class Press(Callback):
    """Ctrl-C, or another signal, within the batches of these numbers."""

    def __init__(self, *steps, number=signal.SIGINT):
        self.steps, self.number = set(steps), number

    def on_before_backward(self, trainer, *_):
        if trainer.global_step in self.steps:
            self.steps.remove(trainer.global_step)
            os.kill(os.getpid(), self.number)


def train(path, *callbacks, every=None, **options):
    model = FLAREOperator(0, 1, hidden_channels=4, num_layers=1, heads=1, num_latents=2)
    module = FieldModule(Surrogate(model, {"u": 1}))
    cases = [random_graph(5, seed=i) for i in range(4)]
    for case in cases:
        case.y = case.pos[:, :1] + 3
    trainer = Trainer(
        max_epochs=2,
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[LastCheckpoint(path, every), *callbacks],
        **options,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer.fit(module, DataLoader(cases))
    return trainer


def steps_of(path):
    return torch.load(path, weights_only=True)["global_step"]


@pytest.mark.parametrize(("pressed", "stopped"), [(0, 1), (5, 6), (3, 4), (7, 8)])
def test_ctrl_c_finishes_the_step_and_saves(tmp_path, pressed, stopped):
    """The last step of an epoch finishes the epoch too."""
    before = signal.getsignal(signal.SIGINT)
    message = f"stopped by Ctrl-C after step {stopped}"
    with pytest.raises(InterruptedTraining, match=message) as error:
        train(tmp_path / "last.ckpt", Press(pressed))
    assert error.value.exit_code == 130
    assert steps_of(tmp_path / "last.ckpt") == stopped
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("pressed", [(0,), (0, 1), (3,)])
def test_sigterm_finishes_the_step_and_saves(tmp_path, pressed):
    """The handlers of Lightning and of the process are restored."""
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(InterruptedTraining, match=r"stopped by SIGTERM after step \d") as stopped:
        train(tmp_path / "last.ckpt", Press(*pressed, number=signal.SIGTERM))
    assert stopped.value.exit_code == 143
    assert steps_of(tmp_path / "last.ckpt") == pressed[0] + 1
    assert signal.getsignal(signal.SIGTERM) is before


def test_sigterm_before_the_first_step(tmp_path):
    class Early(Callback):
        def on_train_start(self, *_):  # called before that of checkpoints
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(InterruptedTraining, match="stopped by SIGTERM after step 1"):
        train(tmp_path / "last.ckpt", Early())
    assert steps_of(tmp_path / "last.ckpt") == 1


def test_accumulated_gradients_are_applied_before_a_checkpoint(tmp_path):
    with pytest.raises(InterruptedTraining, match="stopped by Ctrl-C after step 1"):
        train(tmp_path / "last.ckpt", Press(0), accumulate_grad_batches=2)
    assert steps_of(tmp_path / "last.ckpt") == 1


def test_checkpoints_after_each_epoch_and_within_it(tmp_path):
    written = []

    class Look(Callback):
        def on_train_batch_start(self, trainer, *_):
            path = tmp_path / "last.ckpt"
            written.append(steps_of(path) if path.exists() else 0)

    assert train(tmp_path / "last.ckpt", Look(), every=3).global_step == 8
    # Before steps 1 to 8: the checkpoints of step 3, of the first epoch, of step 6.
    assert written == [0, 0, 0, 3, 4, 4, 6, 6]
    assert steps_of(tmp_path / "last.ckpt") == 8
    with pytest.raises(ValueError, match="checkpoint_steps: expected at least 1"):
        LastCheckpoint(tmp_path, 0)
