"""Callback that ends a training by the clock."""

import math
import time
from collections.abc import Callable
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Timer

from flare_mesh.training.duration import parse_duration
from flare_mesh.training.progress_schedule import ProgressSchedule
from flare_mesh.training.time_progress import TimeProgress


# Lightning trains without a limit of epochs if there is a Timer.
class TimeBudget(Timer):
    """Ends training after some time, with the learning rate's schedule laid over that time.

    :class:`TrainingModule` makes the learning rate a function of :class:`TimeProgress`, which
    reaches 1 at the last step that fits into the budget, however long steps take. The time is that
    of training: steps, validation, checkpoints; not the reading of cases before the first step, nor
    the test. It is saved in checkpoints, and a resumed run has the rest of it. All processes end
    with the same step.

    Args:
        duration: Such as ``90s``, ``5m``, ``1h30m``, or a number of seconds.
        clock: Returns the time in seconds.

    Attributes:
        time: Progress of the run.

    Raises:
        ValueError: If the duration is invalid; when training starts, if the trainer has another
            limit, or the module is no :class:`TrainingModule`.
    """

    def __init__(
        self, duration: str | float, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(duration=None, verbose=False)
        self.time = TimeProgress(parse_duration(duration, "TimeBudget"), clock)
        self._last_end = 0.0
        self._paused = False

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Refuse a second limit of the training."""
        if stage != "fit":
            return
        given = {
            "max_epochs": trainer.max_epochs not in (None, -1),
            "max_steps": trainer.max_steps != -1,
            "min_steps": bool(trainer.min_steps),  # sets min_epochs too
            "min_epochs": bool(trainer.min_epochs),
        }
        for name, is_given in given.items():
            if is_given:
                raise ValueError(
                    f"TimeBudget: the time alone ends the training (got {name}="
                    f"{getattr(trainer, name)} too); leave out one of them"
                )
        if trainer.world_size > 1:
            self.time.share = trainer.strategy.broadcast

    def advance(self, trainer: Trainer) -> None:
        """Count a step of the optimiser; called by the module before its schedule's step."""
        batches, every = trainer.num_training_batches, trainer.accumulate_grad_batches
        left = batches - trainer.fit_loop.batch_idx - 1
        self.time.step(_ceil(left / every), _ceil(batches / every))

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        found = (config.scheduler for config in trainer.lr_scheduler_configs)
        if not any(isinstance(scheduler, ProgressSchedule) for scheduler in found):
            raise ValueError(
                f"TimeBudget: expected a FieldModule or SequenceModule, whose schedule can follow "
                f"the time (got {type(pl_module).__name__}); use Trainer(max_time=...)"
            )
        self.time.start()
        self._last_end, self._paused = self.time.clock(), False
        if self.time.done:
            trainer.should_stop = True

    def on_train_batch_start(self, trainer: Trainer, *args: Any, **kwargs: Any) -> None:
        if self._paused:
            self.time.pause(self.time.clock() - self._last_end)
            self._paused = False

    def on_train_batch_end(self, trainer: Trainer, *args: Any, **kwargs: Any) -> None:
        self._last_end = self.time.clock()
        if self.time.done:
            trainer.should_stop = True

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._paused = True

    def on_train_epoch_end(self, trainer: Trainer, *args: Any, **kwargs: Any) -> None:
        self._paused = True

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.time.stop()

    def state_dict(self) -> dict[str, Any]:
        return self.time.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.time.load_state_dict(state_dict)


def find_budget(trainer: Trainer) -> TimeBudget | None:
    """The time budget of a trainer; None without one."""
    found = (one for one in trainer.callbacks if isinstance(one, TimeBudget))  # pyright: ignore[reportAttributeAccessIssue]
    return next(found, None)


def _ceil(value: float) -> float:
    return math.ceil(value) if math.isfinite(value) else value
