"""What fits into a time budget: the size of the model, steps, epochs."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flare_mesh.training.data_module import FieldDataModule
from flare_mesh.training.duration import format_duration
from flare_mesh.training.module import FieldModule
from flare_mesh.training.sizes import (
    EVALUATIONS,
    FEWEST_STEPS,
    SIZES,
    VALIDATION_SHARE,
    choose_size,
)
from flare_mesh.training.step_time import step_seconds, uses_edges

_SHOWN = 32
"""Cases that are read for the range of their sizes, unless all are in memory."""


@dataclass(frozen=True)
class BudgetPlan:
    """Plan of a run that ends by the clock; the numbers of steps are estimates.

    Attributes:
        seconds: The budget.
        step_seconds: Measured time of a step.
        size: Size of the model by name; None if its options are given.
        batch_size: Cases a step; None with ``data.max_nodes``.
        sample_nodes: Nodes drawn from a case a step; None for all.
        nodes: Nodes of the smallest and the largest of the training cases, or of the first of them.
        cases: Number of training cases.
        steps: Steps that fit beside the validations.
        passes: Passes over the training cases that fit.
        epoch_batches: Batches between two validations and checkpoints.
        edges: Whether no nodes are drawn since the model needs edges.
    """

    seconds: float
    step_seconds: float
    size: str | None
    batch_size: int | None
    sample_nodes: int | None
    nodes: tuple[int, int]
    cases: int
    steps: int
    passes: float
    epoch_batches: int
    edges: bool = False

    def lines(self, now: datetime | None = None) -> list[str]:
        """The plan in plain text, with a warning if the cases do not fit once.

        Args:
            now: Time at the start; that of the system by default.
        """
        options = SIZES.get(self.size or "")
        size = "the given model"
        if options is not None:
            size = (
                f"size {self.size} (C = {options['hidden_channels']}, {options['num_layers']} "
                f"layers, {options['num_latents']} latents)"
            )
        fewest, most = self.nodes
        every = f"{most:,}" if fewest == most else f"{fewest:,} to {most:,}"
        nodes = f"all of {every} nodes"
        if self.sample_nodes is not None and self.sample_nodes < most:
            nodes = f"{self.sample_nodes:,} of {every} nodes"
        if self.edges:
            nodes += " (drawn nodes would have no edges, which the model needs)"
        batch = "" if self.batch_size is None else f" in each of {self.batch_size} cases a step"
        passes = f"{self.passes:,.0f}" if self.passes >= 10 else f"{self.passes:.2g}"
        end = (now or datetime.now()) + timedelta(seconds=self.seconds)
        found = [
            f"plan: {size}, {nodes}{batch}, {1e3 * self.step_seconds:.3g} ms a step",
            f"plan: about {self.steps:,} steps in {format_duration(self.seconds)}, "
            f"{passes} passes over {self.cases:,} cases, a validation every "
            f"{self.epoch_batches:,} batches, end at {end:%H:%M:%S}",
        ]
        if self.passes < 1:
            found.append(
                f"warning: the budget ends before every case was used once; give about "
                f"{format_duration(1.1 * self.seconds / self.passes)}, or draw fewer nodes by "
                f"data.sample_nodes"
            )
        return found


def plan_budget(
    data: FieldDataModule,
    seconds: float,
    build: Callable[[str | None], FieldModule],
    *,
    size: str | None = None,
    trainer: Mapping[str, Any] | None = None,
    evaluations: int = 1,
    clock: Callable[[], float] = time.perf_counter,
) -> BudgetPlan:
    """Measure the training step, and choose what the configuration leaves open.

    The weights, the random states and the order of the cases of the run do not depend on it: a run
    with the same choices written out is the same.

    Args:
        data: The cases; ``"auto"`` in its options is replaced, and ``epoch_batches`` is set unless
            it is given.
        seconds: The budget.
        build: Builds a module of a size by name, or of no named size.
        size: The size; ``"auto"`` to choose it.
        trainer: Options of the trainer, such as ``precision``.
        evaluations: Evaluations of the model for a prediction.
        clock: Returns the time in seconds.

    Raises:
        ValueError: If only a few steps fit into the budget.
    """
    automatic = data.sample_nodes == "auto"
    if automatic:
        first = next(iter(SIZES)) if size == "auto" else size
        data.edges = uses_edges(lambda: build(first), data)
    batch_size, sample = data.resolve()

    def measure(name: str | None) -> float:
        return step_seconds(lambda: build(name), data, trainer, clock=clock)

    if size == "auto":
        size, step = choose_size(seconds, measure)
    else:
        step = measure(size)
    steps = steps_within(seconds, step, "draw fewer nodes by data.sample_nodes")
    batches = steps * int((trainer or {}).get("accumulate_grad_batches") or 1)
    per_pass = data.training_loader(None).case_sampler.pass_batches
    cases = data.cases("train")
    sizes = data.case_sizes(None if data.in_memory else _SHOWN)
    validation = evaluations * _validation_steps(data, sizes, batch_size, sample)
    if data.epoch_batches is None:
        least = math.ceil(validation / VALIDATION_SHARE)
        data.epoch_batches = batches_between_validations(batches, per_pass, least)
    share = data.epoch_batches / (data.epoch_batches + validation)
    steps, batches = int(share * steps), share * batches
    return BudgetPlan(
        seconds=seconds,
        step_seconds=step,
        size=size,
        batch_size=None if data.max_nodes is not None else batch_size,
        sample_nodes=sample,
        nodes=(min(sizes), max(sizes)),
        cases=len(cases),
        steps=steps,
        passes=batches / per_pass,
        epoch_batches=data.epoch_batches,
        edges=automatic and data.edges,
    )


def _validation_steps(
    data: FieldDataModule, sizes: Sequence[int], batch_size: int, sample: int | None
) -> float:
    """Time of a validation in training steps; training on a node costs three predictions of it."""
    if not data.has("val"):
        return 0.0
    mean = sum(sizes) / len(sizes)
    nodes = data.max_nodes or batch_size * min(mean, sample or mean)
    return len(data.cases("val")) * mean / (3 * nodes)


def steps_within(seconds: float, step: float, advice: str) -> int:
    """Steps of a duration that fit into a budget.

    Args:
        seconds: The budget.
        step: Duration of a step.
        advice: What makes steps shorter.

    Raises:
        ValueError: If only a few steps fit.
    """
    steps = int(seconds / step)
    if steps < FEWEST_STEPS:
        raise ValueError(
            f"budget: {format_duration(seconds)} has time for {steps} steps of {step:.3g} s; "
            f"expected at least {FEWEST_STEPS}: give {format_duration(step * FEWEST_STEPS + 1)} "
            f"or more, or {advice}"
        )
    return steps


def batches_between_validations(batches: int, per_pass: int, least: int) -> int:
    """Batches of a run between validations: whole passes where several of them fit.

    Args:
        batches: Batches of the run.
        per_pass: Batches of a pass over the cases.
        least: Smallest number, so that validations take a small share of the time.
    """
    part = min(batches, max(1, least, batches // EVALUATIONS))
    return part if part < per_pass else part - part % per_pass
