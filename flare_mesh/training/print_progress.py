"""Progress of a run in lines of text."""

import math

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint

from flare_mesh.training.run_folder import RunFolder


class PrintProgress(Checkpoint):
    """A line for each tenth of the run, where there is no terminal to draw a bar on.

    A run without a last epoch or step gets a line for each quarter that it has grown by.

    It belongs to the checkpoint callbacks for their place in an epoch: after all is logged.

    Args:
        run: What has the values of each epoch; comes before this one.
    """

    def __init__(self, run: RunFolder) -> None:
        self.run = run
        self._tenth = 0
        self._next = 1

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        done, row = trainer.current_epoch + 1, self.run.rows[-1]
        if not trainer.is_global_zero or not (self._is_due(trainer, done) or trainer.should_stop):
            return
        epochs, steps = trainer.max_epochs or -1, trainer.max_steps
        place = f"epoch {done}" + (f"/{epochs}" if epochs > 0 else "")
        if steps > 0:
            place += f", step {trainer.global_step}/{steps}"
        values = ", ".join(
            f"{name.replace('_', ' ')} {row[name]:.4f}"
            for name in ("train_loss", "val_relative_l2")
            if name in row
        )
        print(f"{place}: {values}", flush=True)

    def _is_due(self, trainer: Trainer, done: int) -> bool:
        counts = ((done, trainer.max_epochs or -1), (trainer.global_step, trainer.max_steps))
        shares = [10 * count // total for count, total in counts if total > 0]
        if shares:
            due, self._tenth = max(shares) > self._tenth, max(shares)
        else:
            due = done >= self._next
            self._next = max(self._next, math.ceil(1.25 * done) if due else 0)
        return due
