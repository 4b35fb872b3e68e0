"""Learning-rate schedule over the progress of a run."""

from collections.abc import Callable
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from flare_mesh.training.schedules import ScheduleConfig, schedule_at


class ProgressSchedule(LRScheduler):
    """Learning rates and momentum as functions of a progress from 0 to 1.

    Args:
        optimizer: The optimiser; its rates are the peak rates.
        config: The schedule.
        progress: Returns the progress of the next step.
    """

    def __init__(
        self, optimizer: Optimizer, config: ScheduleConfig, progress: Callable[[], float]
    ) -> None:
        self.config = config
        self.progress = progress
        super().__init__(optimizer)

    def get_lr(self) -> list[Any]:
        """Learning rate of each group; the momentum is set on the way."""
        factor, momentum = schedule_at(self.config, self.progress())
        if momentum is not None:
            for group in self.optimizer.param_groups:
                if "betas" in group:
                    group["betas"] = momentum, *group["betas"][1:]
                else:
                    group["momentum"] = momentum
        return [rate * factor for rate in self.base_lrs]

    def state_dict(self) -> dict[str, Any]:
        """State without the functions; the rates are in the optimiser's state."""
        return {"base_lrs": self.base_lrs, "last_epoch": self.last_epoch}
