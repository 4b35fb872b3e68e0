"""Checkpoint from which a run is resumed."""

import signal
from pathlib import Path
from types import FrameType
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint

from flare_mesh.training.interrupted import InterruptedTraining


class LastCheckpoint(Checkpoint):
    """Checkpoint in one file, written after each epoch, every few steps, and on Ctrl-C.

    After Ctrl-C, training ends with the current step (with several processes up to ten steps
    later), or with the epoch if that was its last step, and the checkpoint is written; a second
    Ctrl-C ends it at once. No checkpoint is written between the last step of an epoch and its end:
    resumed from there, Lightning would skip the epoch's validation.

    Args:
        path: The file.
        every_n_steps: Number of steps between checkpoints within an epoch; None for no such
            checkpoints.

    Raises:
        ValueError: If ``every_n_steps`` is below 1.
    """

    def __init__(self, path: str | Path, every_n_steps: int | None = None) -> None:
        if every_n_steps is not None and every_n_steps < 1:
            raise ValueError(f"checkpoint_steps: expected at least 1 (got {every_n_steps})")
        self.path = Path(path)
        self.every_n_steps = every_n_steps
        self._interrupted = False
        self._last_step = 0
        self._old_handler: Any = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._last_step = trainer.global_step
        self._old_handler = signal.signal(signal.SIGINT, self._interrupt)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self._interrupted = True
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        # Accumulated gradients are not part of a checkpoint.
        stepped, self._last_step = trainer.global_step > self._last_step, trainer.global_step
        if not stepped or trainer.is_last_batch:
            return
        # The decision of several processes makes them wait for each other, so it is taken rarely.
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
            return self._interrupted
        # All processes stop after the same step.
        return trainer.strategy.reduce_boolean_decision(self._interrupted, all=False)

    def _stop(self, trainer: Trainer) -> None:
        trainer.save_checkpoint(self.path)
        raise InterruptedTraining(f"stopped after step {trainer.global_step}")

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if self._old_handler is not None:
            signal.signal(signal.SIGINT, self._old_handler)
            self._old_handler = None
