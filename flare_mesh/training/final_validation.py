"""Validation after the last step of a run."""

from typing import Any

from lightning import Callback, LightningModule, Trainer


class FinalValidation(Callback):
    """Validates the last step where ``max_steps`` ends the run in the middle of an epoch.

    Lightning validates when a run is asked to stop, as by ``max_time`` and early stopping, but not
    at ``max_steps``; this callback asks it to stop there too.
    """

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if trainer.max_steps != -1 and trainer.global_step >= trainer.max_steps:
            trainer.should_stop = True
