"""Progress of a run in plain lines."""

import math

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint


class PlainProgress(Checkpoint):
    """Print the progress bar's values at each tenth of a run, for output that is no terminal.

    A run without a last step gets a line for each epoch. Lightning calls checkpoint callbacks last
    in an epoch, after all values are logged, so this is one.
    """

    def __init__(self) -> None:
        self._tenths = 0

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        total = trainer.estimated_stepping_batches
        before, self._tenths = self._tenths, int(10 * trainer.global_step / total)
        due = math.isinf(total) or self._tenths > before or trainer.should_stop
        if due and trainer.is_global_zero:
            end = "" if math.isinf(total) else f"/{total}"
            values = ", ".join(
                f"{name.replace('_', ' ')} {float(value):.4f}"
                for name, value in sorted(trainer.progress_bar_metrics.items())
            )
            place = f"epoch {trainer.current_epoch + 1}, step {trainer.global_step}{end}"
            print(f"{place}: {values}", flush=True)
