"""Validation of a run's last step."""

from typing import Any

from lightning import Callback, LightningModule, Trainer


class FinalValidation(Callback):
    """Validates also where ``max_steps`` ends the run in the middle of an epoch.

    Lightning does so where a run is asked to stop, as by ``max_time`` and early stopping, but not
    at ``max_steps``: so that it is asked there too.
    """

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if trainer.max_steps != -1 and trainer.global_step >= trainer.max_steps:
            trainer.should_stop = True
