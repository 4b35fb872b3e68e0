"""Options of the optimiser and the schedule that a resumed run cannot change."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from flare_mesh.training.optimizers import OptimizerConfig
from flare_mesh.training.schedules import ScheduleConfig


def run_plan(
    optimizer: OptimizerConfig,
    schedule: ScheduleConfig,
    steps: float,
    seconds: float | None = None,
) -> dict[str, Any]:
    """The options, and the run's length where the learning rate depends on it, as plain values.

    Args:
        optimizer: Options of the optimiser.
        schedule: Options of the schedule.
        steps: Steps of the run; infinity if they are not known.
        seconds: Time budget of the run, instead of its steps.
    """
    plan: dict[str, Any] = {
        f"model.{part}.{key}": list(value) if isinstance(value, tuple) else value
        for part, config in (("optimizer", optimizer), ("schedule", schedule))
        for key, value in asdict(config).items()
    }
    if seconds is not None:
        plan["budget, seconds"] = seconds
    elif schedule.name != "constant":
        plan["the number of steps (epochs, batches)"] = int(steps)
    return plan


def check_plan(plan: Mapping[str, Any], saved: Mapping[str, Any]) -> None:
    """Check that a resumed run has the plan of its checkpoint.

    Raises:
        ValueError: If it has another; names the differences.
    """
    found = [
        f"{key} is {value!r} here, {saved.get(key)!r} in the checkpoint"
        for key, value in plan.items()
        if value != saved.get(key)
    ]
    if found:
        raise ValueError(
            f"a resumed run needs the optimiser and schedule it was started with "
            f"({'; '.join(found)}); restore these options, or start a new run from its weights by "
            f"model.weights"
        )
