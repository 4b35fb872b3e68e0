"""Time of a training step, measured before a run."""

import math
import os
import statistics
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import torch
from lightning import Trainer
from lightning.pytorch.callbacks import Callback

from flare_mesh.training.data_module import FieldDataModule
from flare_mesh.training.module import FieldModule
from flare_mesh.training.seeding import seeded
from flare_mesh.training.split_data_module import SplitDataModule
from flare_mesh.training.training_module import TrainingModule

_WARM_UP = 3
_TIMED = 7
"""Smallest number of timed steps."""
_SHORT_PASS = 16
"""Batches of a pass up to which whole passes are timed, since their last batch is smaller."""
_OUTLIER = 2.0
"""Times the median, to which longer steps are reduced: the machine did something else too."""
_TRAINER = (
    "accelerator",
    "strategy",
    "devices",
    "num_nodes",
    "precision",
    "accumulate_grad_batches",
    "gradient_clip_val",
    "gradient_clip_algorithm",
)


class _Times(Callback):
    """Times at the ends of the batches."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.values: list[float] = []

    def on_train_batch_end(self, trainer: Trainer, *args: Any, **kwargs: Any) -> None:
        if trainer.strategy.root_device.type == "cuda":
            torch.cuda.synchronize()
        self.values.append(self.clock())


def step_seconds(
    build: Callable[[], TrainingModule],
    data: SplitDataModule,
    options: Mapping[str, Any] | None = None,
    *,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Mean time of a training step on real batches, with their loading, after a warm-up.

    It is the mean over whole passes over the cases if these are short, else over seven steps.
    Steps that take more than twice the median count as that.

    The random states, the data module and its order of cases are the same afterwards.

    Args:
        build: Builds the module, which is used for the measurement alone.
        data: The training cases.
        options: Options of the trainer.
        clock: Returns the time in seconds.

    Raises:
        ValueError: If the trainer would start several processes.
    """
    options = {name: value for name, value in (options or {}).items() if name in _TRAINER}
    every = options.get("accumulate_grad_batches") or 1
    times = _Times(clock)
    with _unchanged(data), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = Trainer(
            **options,
            max_epochs=1,
            limit_val_batches=0,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
            callbacks=[times],
        )
        if trainer.world_size > 1:
            raise ValueError(
                f"budget: a step is measured in one process (got {trainer.world_size}); set "
                f"data.epoch_batches, and model.size to another value than 'auto'"
            )
        module = build()
        module.prepare_timing(data)
        pass_batches = data.training_loader(None).case_sampler.pass_batches
        timed = _timed_steps(pass_batches, every)
        warm_up = _WARM_UP
        if data.in_memory and pass_batches <= _SHORT_PASS:
            # The first pass reads the cases and computes their features; later ones do not.
            warm_up = max(_WARM_UP, math.ceil(pass_batches / every))
        loader = data.training_loader(every * (warm_up + timed))
        # A run of its own: a module that is trained later starts from the given weights.
        trainer.fit(module, loader)
    ends = times.values[every * warm_up - 1 :: every]
    seconds = [b - a for a, b in pairwise(ends)]
    longest = _OUTLIER * statistics.median(seconds)
    return max(1e-6, statistics.mean(min(one, longest) for one in seconds))


def _timed_steps(pass_batches: int, every: int) -> int:
    """Steps of ``every`` batches: those of whole passes if a pass is short."""
    if pass_batches > _SHORT_PASS:
        return _TIMED
    # All batches of these passes fill whole steps.
    passes = math.lcm(pass_batches, every) // pass_batches
    steps = passes * pass_batches // every
    return steps * math.ceil(_TIMED / steps)


def uses_edges(build: Callable[[], FieldModule], data: FieldDataModule) -> bool:
    """Whether the model of a module needs edges; nothing else changes.

    Args:
        build: Builds the module.
        data: The training cases.
    """
    with _unchanged(data):
        return build().surrogate.model.uses_edges


@contextmanager
def _unchanged(data: SplitDataModule) -> Iterator[None]:
    """Restore the random states, of this process and its GPUs, and the settings of the data."""
    before, seed = vars(data).get("edges"), os.environ.get("PL_GLOBAL_SEED")
    devices = list(range(torch.cuda.device_count()))
    with seeded(0), torch.random.fork_rng(devices):
        try:
            yield
        finally:
            if isinstance(data, FieldDataModule) and before is not None:
                data.edges = before
            if seed is not None:
                os.environ["PL_GLOBAL_SEED"] = seed
