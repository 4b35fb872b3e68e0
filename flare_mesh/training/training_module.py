"""Base of the Lightning modules that train a network."""

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from lightning import LightningModule
from lightning.pytorch.strategies import FSDPStrategy
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from flare_mesh.training.error_sums import ErrorSums, all_reduce_sum
from flare_mesh.training.loss_monitor import LossMonitor
from flare_mesh.training.optimizers import OptimizerConfig, build_optimizer
from flare_mesh.training.progress_schedule import ProgressSchedule
from flare_mesh.training.run_plan import check_plan, run_plan
from flare_mesh.training.schedules import ScheduleConfig, build_schedule
from flare_mesh.training.seeding import mix_seed, seed_step
from flare_mesh.training.time_budget import find_budget


class TrainingModule(LightningModule):
    """Optimiser, schedule, average of the weights, and the state of a run in its checkpoints.

    A subclass builds its network and then calls :meth:`average`; it adds the errors of training
    batches to ``_train_errors``.

    Args:
        optimizer: Optimiser and its options.
        schedule: Schedule of the learning rate, stepped after each optimiser step.
        seed: Seed of the random numbers of a step.
    """

    KEY: ClassVar[str]
    """Name of the description of what is trained, in a checkpoint."""
    BAR: ClassVar[tuple[str, ...]]
    """Metrics that the progress bar shows."""

    def __init__(self, *, optimizer: OptimizerConfig, schedule: ScheduleConfig, seed: int) -> None:
        super().__init__()
        self.optimizer = optimizer
        self.schedule = schedule
        self.seed = seed
        self.ema: AveragedModel | None = None
        self._train_errors = ErrorSums()
        self._monitor = LossMonitor()
        self._plan: dict[str, Any] | None = None
        self._resumed_plan: dict[str, Any] | None = None

    @property
    @abstractmethod
    def trained(self) -> nn.Module:
        """Module whose parameters are trained."""

    @property
    @abstractmethod
    def network(self) -> nn.Module:
        """Module whose weights are averaged."""

    @abstractmethod
    def prepare_timing(self, data: Any) -> None:
        """Prepare a training whose steps are timed on some batches of ``data`` only."""

    @abstractmethod
    def describe(self) -> str:
        """What is trained, as JSON, for :meth:`check_description`."""

    @abstractmethod
    def check_description(self, text: str) -> list[str]:
        """Differences from what a checkpoint describes, a phrase each."""

    def average(self, decay: float | None) -> None:
        """Keep an exponential moving average of the network's weights; None for none.

        Raises:
            ValueError: If the decay is not between 0 and 1.
        """
        if decay is None:
            return
        if not 0 < decay < 1:
            raise ValueError(f"ema: expected a decay between 0 and 1 (got {decay})")
        self.ema = AveragedModel(self.network, multi_avg_fn=get_ema_multi_avg_fn(decay))
        self.ema.requires_grad_(False)

    def setup(self, stage: str) -> None:
        if self.trainer.precision in ("bf16-true", "16-true"):
            raise ValueError(
                f"precision {self.trainer.precision} would round weights, coordinates, targets and "
                f"normalisers; take bf16-mixed or 16-mixed"
            )
        if self.ema is not None and isinstance(self.trainer.strategy, FSDPStrategy):
            raise ValueError(
                "ema: the strategy fsdp spreads the weights over processes, and averaging needs "
                "whole ones; leave model.ema out, or take ddp"
            )

    def begin_step(self, batch_idx: int) -> None:
        """Check the loss of the step before, and seed this one's random numbers."""
        self._monitor.check()
        seed_step(mix_seed(self.seed, self.global_step, batch_idx, self.global_rank), self.device)

    def watch(self, loss: Tensor, cases: Sequence[str]) -> None:
        """Have the loss checked at the next step; ``cases`` are for the message."""
        scaler = getattr(self.trainer.precision_plugin, "scaler", None)
        self._monitor.watch(loss, self.global_step, cases, scaled=scaler is not None)

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        super().optimizer_step(*args, **kwargs)
        if self.ema is not None:
            self.ema.update_parameters(self.network)
        if (budget := find_budget(self.trainer)) is not None:
            budget.advance(self.trainer)

    def log_value(self, name: str, value: Tensor) -> None:
        """Log a value of the epoch, which is the same on all processes."""
        # Lightning warns without sync_dist.
        several, bar = self.trainer.world_size > 1, name in self.BAR
        self.log(name, value.float(), on_epoch=True, prog_bar=bar, sync_dist=several, batch_size=1)

    def configure_optimizers(self) -> Any:
        """The optimiser, and the schedule over all steps or the time of the run."""
        budget = find_budget(self.trainer)
        steps = math.inf if budget is not None else self.trainer.estimated_stepping_batches
        if budget is None and math.isinf(steps) and self.schedule.name != "constant":
            raise ValueError(
                f"the schedule '{self.schedule.name}' needs the length of the run; set budget, "
                f"trainer.max_epochs or trainer.max_steps, or model.schedule.name=constant"
            )
        seconds = None if budget is None else budget.time.seconds
        self._plan = run_plan(self.optimizer, self.schedule, steps, seconds)
        if self._resumed_plan is not None:
            check_plan(self._plan, self._resumed_plan)
        optimizer = build_optimizer(self.trained, self.optimizer)
        if budget is not None:
            time = budget.time
            scheduler = ProgressSchedule(optimizer, self.schedule, lambda: time.progress)
        else:
            # A constant rate does not depend on the number of steps.
            steps = 1 if math.isinf(steps) else int(steps)
            scheduler = build_schedule(optimizer, self.schedule, steps)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self._monitor.check()
        total = self._train_errors.total
        checkpoint["flare_mesh"] = {
            self.KEY: self.describe(),
            "ema": self.ema is not None,
            "plan": self._plan,
            "train_sums": None if total is None else all_reduce_sum(total),
        }

    def on_load_checkpoint(self, checkpoint: Mapping[str, Any]) -> None:
        """Check that the checkpoint belongs to this model, and restore the run's state."""
        saved = checkpoint.get("flare_mesh")
        if not isinstance(saved, Mapping):
            raise ValueError("the checkpoint was not written by flare-mesh")
        if self.KEY not in saved:
            raise ValueError(
                f"the checkpoint is of another kind of model (expected a {self.KEY}); use the "
                f"configuration of its run"
            )
        found = self.check_description(saved[self.KEY])
        if saved["ema"] != (self.ema is not None):
            states = ("off", "on") if self.ema is None else ("on", "off")
            found.append("ema is {} here, {} in the checkpoint".format(*states))
        if found:
            raise ValueError(
                f"the checkpoint is of another model ({'; '.join(found)}); use the configuration "
                f"of its run"
            )
        self._resumed_plan = saved["plan"]
        # The sums are over all processes, so that one process takes them over.
        self._train_errors.total = saved["train_sums"] if self.global_rank == 0 else None
