"""Learning rates over the steps of a run."""

import math
from dataclasses import dataclass
from typing import Literal, get_args

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from flare_mesh.training.unused_options import refuse_unused

ScheduleName = Literal["one_cycle", "cosine", "constant"]

_MOMENTUM = ("cycle_momentum", "base_momentum", "max_momentum")
_UNUSED = {
    "one_cycle": (),
    "cosine": _MOMENTUM,
    "constant": ("pct_start", "div_factor", "final_div_factor", *_MOMENTUM),
}


@dataclass(frozen=True)
class ScheduleConfig:
    """How learning rates change from step to step; the peak is that of the optimiser.

    Attributes:
        name: ``one_cycle`` (arXiv 1708.07120): up and down by half a cosine each, as published;
            ``cosine``: up in a straight line and down by half a cosine; ``constant``.
        pct_start: Share of the steps in which the learning rate goes up.
        div_factor: The peak over the learning rate of the first step.
        final_div_factor: The learning rate of the first step over that of the last.
        cycle_momentum: Lets ``one_cycle`` take momentum down while the learning rate goes up, and
            back: the first of ``betas`` where the optimiser has them, else ``momentum``.
        base_momentum: Momentum at the peak.
        max_momentum: Momentum at the first and the last step.
    """

    name: ScheduleName = "one_cycle"
    pct_start: float = 0.1
    div_factor: float = 1e4
    final_div_factor: float = 1e4
    cycle_momentum: bool = True
    base_momentum: float = 0.85
    max_momentum: float = 0.95

    def __post_init__(self) -> None:
        if self.name not in get_args(ScheduleName):
            raise ValueError(
                f"ScheduleConfig: unknown schedule '{self.name}'; "
                f"choose from {[*get_args(ScheduleName)]}"
            )
        if not 0 <= self.pct_start <= 1:
            raise ValueError(
                f"ScheduleConfig: expected 'pct_start' from 0 to 1 (got {self.pct_start})"
            )
        for name in ("div_factor", "final_div_factor"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(
                    f"ScheduleConfig: expected '{name}' > 0 (got {getattr(self, name)})"
                )
        if not 0 <= self.base_momentum <= self.max_momentum < 1:
            raise ValueError(
                "ScheduleConfig: expected 0 <= base_momentum <= max_momentum < 1 "
                f"(got {self.base_momentum} and {self.max_momentum})"
            )
        refuse_unused(self, f"the schedule '{self.name}'", _UNUSED[self.name])
        if not self.cycle_momentum:
            refuse_unused(self, "cycle_momentum=False", _MOMENTUM[1:])


def build_schedule(optimizer: Optimizer, config: ScheduleConfig, total_steps: int) -> LRScheduler:
    """The schedule of a run; its ``step`` belongs after each step of the optimiser.

    Each group of parameters has the learning rate that it comes with as its peak. Past the last
    step, learning rate and momentum stay as they are.

    Args:
        optimizer: The optimiser, which has not made a step.
        config: Which schedule.
        total_steps: Steps of the run.

    Raises:
        ValueError: If there are no steps.
    """
    if total_steps < 1:
        raise ValueError(f"build_schedule: expected total_steps >= 1 (got {total_steps})")
    return _Schedule(optimizer, config, int(total_steps))


class _Schedule(LRScheduler):
    """Learning rates in closed form of the step.

    The attributes are numbers: they are the state, which is read back without pickle.
    """

    def __init__(self, optimizer: Optimizer, config: ScheduleConfig, total_steps: int) -> None:
        self.name = str(config.name)
        self.last_step = total_steps - 1
        # As torch's OneCycleLR counts; where no step is left for going up, the peak comes first.
        self.peak_step = max(0.0, config.pct_start * total_steps - 1)
        self.start = 1 / config.div_factor
        self.end = self.start / config.final_div_factor
        cycled = config.name == "one_cycle" and config.cycle_momentum
        self.momentum = (config.base_momentum, config.max_momentum) if cycled else None
        super().__init__(optimizer)

    def get_lr(self) -> list:
        base = self.base_lrs
        if self.name == "constant":
            return list(base)
        step = min(self.last_epoch, self.last_step)
        if step < self.peak_step:
            share, edge = step / self.peak_step, self.start
            if self.name == "one_cycle":
                share = _half_cosine(share)
        else:
            share, edge = 1.0, self.end
            if self.last_step > self.peak_step:
                going = (step - self.peak_step) / (self.last_step - self.peak_step)
                share = _half_cosine(1 - going)
        self._set_momentum(share)
        return [lr * (edge + (1 - edge) * share) for lr in base]

    def _set_momentum(self, share: float) -> None:
        """Momentum where the learning rate is at ``share`` of the way to its peak."""
        if self.momentum is None:
            return
        at_peak, at_edge = self.momentum
        momentum = at_edge + (at_peak - at_edge) * share
        for group in self.optimizer.param_groups:
            if "betas" in group:
                group["betas"] = (momentum, *group["betas"][1:])
            elif "momentum" in group:
                group["momentum"] = momentum


def _half_cosine(share: float) -> float:
    """From 0 to 1 by half a cosine."""
    return (1 - math.cos(math.pi * share)) / 2
