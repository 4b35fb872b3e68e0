"""The checkpoint from which a run goes on."""

import signal
from pathlib import Path
from types import FrameType
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint

from flare_mesh.training.interrupted import InterruptedTraining


class LastCheckpoint(Checkpoint):
    """Writes one file after each epoch, every so many steps if asked for, and on Ctrl-C.

    Ctrl-C lets the step finish (several processes go on for up to ten), or the whole epoch if that
    was its last, writes the checkpoint and stops; a second one stops at once. No checkpoint is
    written between the last step of an epoch and its end, where Lightning would go on without the
    epoch's validation.

    Args:
        path: The file.
        every_n_steps: Steps between checkpoints within an epoch; None for none.
    """

    def __init__(self, path: str | Path, every_n_steps: int | None = None) -> None:
        if every_n_steps is not None and every_n_steps < 1:
            raise ValueError(f"checkpoint_steps: expected at least 1 (got {every_n_steps})")
        self.path = Path(path)
        self.every_n_steps = every_n_steps
        self._asked = False
        self._step = 0
        self._before: Any = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._step = trainer.global_step
        self._before = signal.signal(signal.SIGINT, self._ask)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self._asked = True
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        # Gradients that are still summed up are not part of a checkpoint.
        stepped, self._step = trainer.global_step > self._step, trainer.global_step
        if not stepped or trainer.is_last_batch:
            return
        # Several processes have to wait for each other to know.
        if (trainer.world_size == 1 or batch_idx % 10 == 0) and self._should_stop(trainer):
            self._stop(trainer)
        elif self.every_n_steps is not None and trainer.global_step % self.every_n_steps == 0:
            trainer.save_checkpoint(self.path)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._should_stop(trainer):
            self._stop(trainer)
        trainer.save_checkpoint(self.path)

    def _should_stop(self, trainer: Trainer) -> bool:
        if trainer.world_size == 1:
            return self._asked
        # All processes stop after the same step.
        return trainer.strategy.reduce_boolean_decision(self._asked, all=False)

    def _stop(self, trainer: Trainer) -> None:
        trainer.save_checkpoint(self.path)
        raise InterruptedTraining(f"stopped after step {trainer.global_step}")

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
            self._before = None
