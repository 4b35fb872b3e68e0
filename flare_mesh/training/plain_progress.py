"""Progress of a run in plain lines."""

import math
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint

from flare_mesh.training.duration import format_duration
from flare_mesh.training.time_budget import find_budget

_SECONDS = 30.0
"""Time between two lines of a run with a time budget."""


class PlainProgress(Checkpoint):
    """Print the progress bar's values in lines, for output that is no terminal.

    A run with a time budget gets a line every 30 s, one with a last step at each tenth, another for
    each epoch. Lightning calls checkpoint callbacks last in an epoch, after all values are logged,
    so this is one.
    """

    def __init__(self) -> None:
        self._tenths = 0
        self._printed = 0.0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        budget = find_budget(trainer)
        self._printed = 0.0 if budget is None else budget.time.elapsed

    def on_train_batch_end(self, trainer: Trainer, *args: Any, **kwargs: Any) -> None:
        # At the end of an epoch its values are known.
        if not (trainer.is_last_batch or trainer.should_stop):
            self._print_time(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if find_budget(trainer) is not None:
            self._print_time(trainer)
            return
        total = trainer.estimated_stepping_batches
        before, self._tenths = self._tenths, int(10 * trainer.global_step / total)
        if math.isinf(total) or self._tenths > before or trainer.should_stop:
            end = "" if math.isinf(total) else f"/{total}"
            _print(trainer, f"epoch {trainer.current_epoch + 1}, step {trainer.global_step}{end}")

    def _print_time(self, trainer: Trainer) -> None:
        budget = find_budget(trainer)
        if budget is None:
            return
        elapsed = budget.time.elapsed
        if elapsed - self._printed >= _SECONDS or trainer.should_stop:
            self._printed = elapsed
            used, all_of_it = format_duration(elapsed), format_duration(budget.time.seconds)
            _print(trainer, f"{used} of {all_of_it}, step {trainer.global_step}")


def _print(trainer: Trainer, place: str) -> None:
    if trainer.is_global_zero:
        values = ", ".join(
            f"{name.replace('_', ' ')} {float(value):.4f}"
            for name, value in sorted(trainer.progress_bar_metrics.items())
        )
        print(f"{place}: {values}" if values else place, flush=True)
