"""Progress bar with the time left."""

from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import RichProgressBar

from flare_mesh.training.duration import format_duration
from flare_mesh.training.time_budget import find_budget


class BudgetProgressBar(RichProgressBar):
    """Lightning's bar; in a run with a time budget it also shows the time left."""

    def get_metrics(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, Any]:
        """Values beside the bar."""
        items: dict[str, Any] = dict(super().get_metrics(trainer, pl_module))
        budget = find_budget(trainer)
        if budget is not None:
            left = max(0.0, budget.time.seconds - budget.time.elapsed)
            items["left"] = format_duration(left)
        return items

    def _get_train_description(self, current_epoch: int) -> str:
        # Lightning would show the last epoch, which a run with a time budget has not.
        if find_budget(self.trainer) is None:
            return super()._get_train_description(current_epoch)
        return f"Epoch {current_epoch}".ljust(len(self.validation_description))
