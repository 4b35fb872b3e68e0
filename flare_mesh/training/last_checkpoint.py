"""Checkpoint from which a run is resumed."""

import signal
from pathlib import Path
from types import FrameType
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint

from flare_mesh.training.interrupted import InterruptedTraining


class LastCheckpoint(Checkpoint):
    """Checkpoint in one file, written after each epoch, every few steps, on Ctrl-C and SIGTERM.

    After Ctrl-C, or SIGTERM from a scheduler, training ends with the current step (with several
    processes up to ten steps later), or with the epoch if that was its last step, and the
    checkpoint is written; a second Ctrl-C ends it at once. Lightning's own handler of SIGTERM ends
    training without a checkpoint, and with exit code 0. No checkpoint is written between the last
    step of an epoch and its end: resumed from there, Lightning would skip the epoch's validation.

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
        self._signal: int | None = None
        self._last_step = 0
        self._old_handlers: dict[int, Any] = {}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._last_step = trainer.global_step
        # Lightning's handler may have received one before.
        self._signal = signal.SIGTERM if trainer.received_sigterm else None
        self._old_handlers = {
            number: signal.signal(number, self._interrupt)
            for number in (signal.SIGINT, signal.SIGTERM)
        }

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        if self._signal != signal.SIGTERM:
            self._signal = number
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
        # All processes stop after the same step.
        return _any_process(trainer, self._signal is not None)

    def _stop(self, trainer: Trainer) -> None:
        trainer.save_checkpoint(self.path)
        number, name = signal.SIGINT, "Ctrl-C"
        if _any_process(trainer, self._signal == signal.SIGTERM):
            number, name = signal.SIGTERM, "SIGTERM"
        raise InterruptedTraining(f"stopped by {name} after step {trainer.global_step}", number)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        for number, handler in self._old_handlers.items():
            signal.signal(number, handler)
        self._old_handlers = {}


def _any_process(trainer: Trainer, decision: bool) -> bool:
    if trainer.world_size == 1:
        return decision
    return trainer.strategy.reduce_boolean_decision(decision, all=False)
