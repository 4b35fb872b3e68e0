"""What fits into a time budget of a training on sequences."""

import math
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from flare_mesh.training.budget_plan import batches_between_validations, steps_within
from flare_mesh.training.duration import format_duration
from flare_mesh.training.sequence_data_module import SequenceDataModule
from flare_mesh.training.sequence_module import SequenceModule
from flare_mesh.training.sizes import VALIDATION_SHARE
from flare_mesh.training.step_time import step_seconds


def plan_sequences(
    data: SequenceDataModule,
    seconds: float,
    build: Callable[[], SequenceModule],
    trainer: Mapping[str, Any] | None = None,
    *,
    clock: Callable[[], float] = time.perf_counter,
) -> list[str]:
    """Measure the training step, and choose the batches between validations if they are not given.

    Args:
        data: The samples; ``epoch_batches`` is set unless it is given.
        seconds: The budget.
        build: Builds a module.
        trainer: Options of the trainer, such as ``precision``.
        clock: Returns the time in seconds.

    Returns:
        The plan in plain text, with a warning if the samples do not fit once.

    Raises:
        ValueError: If only a few steps fit into the budget.
    """
    step = step_seconds(build, data, trainer, clock=clock)
    steps = steps_within(seconds, step, "make batches smaller by data.max_tokens")
    batches = steps * int((trainer or {}).get("accumulate_grad_batches") or 1)
    per_pass = data.training_loader(None).case_sampler.pass_batches
    tokens = int(np.sum(data.dataset("train").lengths)) / per_pass
    validation = 0.0  # in batches; training on a token costs three predictions of it
    if data.has("val"):
        validation = float(np.sum(data.dataset("val").lengths)) / (3 * tokens)
    if data.epoch_batches is None:
        least = math.ceil(validation / VALIDATION_SHARE)
        data.epoch_batches = batches_between_validations(batches, per_pass, least)
    share = data.epoch_batches / (data.epoch_batches + validation)
    steps, passes = int(share * steps), share * batches / per_pass
    end = datetime.now() + timedelta(seconds=seconds)
    count = len(data.dataset("train"))
    shown = f"{passes:,.0f}" if passes >= 10 else f"{passes:.2g}"
    lines = [
        f"plan: {tokens:,.0f} tokens a batch, {1e3 * step:.3g} ms a step; about {steps:,} steps in "
        f"{format_duration(seconds)}, {shown} passes over {count:,} samples, a validation every "
        f"{data.epoch_batches:,} batches, end at {end:%H:%M:%S}"
    ]
    if passes < 1:
        lines.append(
            f"warning: the budget ends before every sample was used once; that would take about "
            f"{format_duration(1.1 * seconds / passes)}"
        )
    return lines
