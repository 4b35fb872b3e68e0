"""Learning-rate schedules by name, built from torch's schedulers."""

import math
from dataclasses import dataclass
from typing import Literal, get_args

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR

from flare_mesh.choices import check_choice
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
    """Learning rates and momentum from step to step; the peak rates are the optimiser's.

    Attributes:
        name: ``one_cycle`` (arXiv 1708.07120): warm-up and decay by half a cosine each;
            ``cosine``: linear warm-up, decay by half a cosine; ``constant``.
        pct_start: Share of the steps for the warm-up, below 1.
        div_factor: The peak rate over the rate of the first step.
        final_div_factor: The rate of the first step over the rate of the last.
        cycle_momentum: For ``one_cycle``: lower the momentum while the learning rate rises, and
            raise it again after the peak: the first of ``betas`` where the optimiser has them, else
            ``momentum``.
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
        check_choice("ScheduleConfig: unknown schedule", self.name, get_args(ScheduleName))
        if not 0 <= self.pct_start < 1:
            raise ValueError(
                f"ScheduleConfig: expected 'pct_start' from 0 to below 1 (got {self.pct_start})"
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


def schedule_at(config: ScheduleConfig, progress: float) -> tuple[float, float | None]:
    """Learning rate over its peak, and momentum or None, at a progress from 0 to 1 of a run.

    The warm-up is the first ``config.pct_start`` of the progress.
    """
    if config.name == "constant":
        return 1.0, None
    start = 1 / config.div_factor
    end = start / config.final_div_factor
    cycles = config.name == "one_cycle"
    if progress < config.pct_start:
        risen = progress / config.pct_start
        if cycles:
            risen = (1 - math.cos(math.pi * risen)) / 2
        factor, peak = start + (1 - start) * risen, risen
    else:
        decayed = (progress - config.pct_start) / (1 - config.pct_start)
        peak = (1 + math.cos(math.pi * decayed)) / 2
        factor = end + (1 - end) * peak
    if not (cycles and config.cycle_momentum):
        return factor, None
    return factor, config.max_momentum + (config.base_momentum - config.max_momentum) * peak


def build_schedule(optimizer: Optimizer, config: ScheduleConfig, total_steps: int) -> LRScheduler:
    """Schedule of a run, to be stepped after each step of the optimiser.

    The learning rate of each parameter group is its peak rate. A one-cycle run whose warm-up is
    shorter than one step starts at the peak, and its momentum is not cycled.

    Args:
        optimizer: The optimiser, before its first step.
        config: The schedule and its options.
        total_steps: Steps of the run.

    Raises:
        ValueError: If there are no steps.
    """
    if total_steps < 1:
        raise ValueError(f"build_schedule: expected total_steps >= 1 (got {total_steps})")
    if config.name == "constant":
        return LambdaLR(optimizer, lambda step: 1.0)
    peak = config.pct_start * total_steps - 1  # counted as OneCycleLR does
    if config.name == "one_cycle" and peak > 0:
        return OneCycleLR(
            optimizer,
            [group["lr"] for group in optimizer.param_groups],
            int(total_steps),
            pct_start=config.pct_start,
            cycle_momentum=config.cycle_momentum,
            base_momentum=config.base_momentum,
            max_momentum=config.max_momentum,
            div_factor=config.div_factor,
            final_div_factor=config.final_div_factor,
        )
    # torch's CosineAnnealingLR has one final rate for all groups, its LinearLR whole steps.
    start = 1 / config.div_factor
    end = start / config.final_div_factor
    peak, last = max(0.0, peak), total_steps - 1

    def factor(step: int) -> float:
        if step < peak:
            return start + (1 - start) * step / peak
        decayed = min((step - peak) / (last - peak), 1.0) if last > peak else 0.0
        return end + (1 - end) * (1 + math.cos(math.pi * decayed)) / 2

    return LambdaLR(optimizer, factor)
