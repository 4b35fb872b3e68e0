"""Ctrl-C that loses nothing."""

import signal
from pathlib import Path
from types import FrameType
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback


class InterruptedTraining(Exception):  # noqa: N818
    """Training was stopped by Ctrl-C, after its state was saved."""


class SaveOnInterrupt(Callback):
    """Finishes the step when Ctrl-C is pressed, writes a checkpoint, and stops.

    A second Ctrl-C stops at once.

    Args:
        path: The checkpoint to write.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
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
        asked = self._asked
        if trainer.world_size > 1:
            # All processes stop after the same step.
            asked = trainer.strategy.reduce_boolean_decision(asked, all=False)
        # Gradients that are still summed up are not part of a checkpoint.
        stepped, self._step = trainer.global_step > self._step, trainer.global_step
        if asked and stepped:
            trainer.save_checkpoint(self.path)
            raise InterruptedTraining(f"stopped after step {trainer.global_step}")

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
            self._before = None
