"""Overhead of the training loop over the arithmetic of its steps.

    python benchmarks/training_loop.py [--nodes 1000 10000] [--steps 120] [--busy] [--json FILE]

Trains FLARE at its published size by ``Trainer.fit`` with the data module, logger, checkpoints and
run folder of ``flare-mesh fit``. After each step of the loop, a twin model makes the same step on
the same batch without Lightning: forward, loss, backward, clipping, optimiser. The two must have
equal weights, which is checked before timing starts and at the end. Prints the median time of both
kinds of steps, and the median ratio of paired steps; "whole epochs" includes the loop's work
between epochs (logging, checkpoints). On a busy machine, ``--busy`` measures the processor time of
a single thread instead.
"""

import argparse
import copy
import json
import logging
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from torch.nn.utils import clip_grad_norm_

from flare_mesh.training import (
    FieldDataModule,
    FieldModule,
    build_module,
    build_optimizer,
    build_schedule,
)
from flare_mesh.training.checkpoint_io import AtomicCheckpointIO
from flare_mesh.training.last_checkpoint import LastCheckpoint
from flare_mesh.training.run_folder import RunFolder

MODEL = {"hidden_channels": 64, "num_layers": 8, "heads": 8, "num_latents": 64}
CLIP = 1.0


class Twin(Callback):
    """Repeats each step of the loop without Lightning, and times both."""

    def __init__(self, warmup: int, clock: Callable[[], float]) -> None:
        self.warmup, self.clock = warmup, clock
        self.loop: list[float] = []
        self.bare: list[float] = []
        self.between: list[bool] = []
        self._left: float | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, FieldModule)
        self.surrogate = copy.deepcopy(pl_module.surrogate)
        self.optimizer = build_optimizer(self.surrogate, pl_module.optimizer)
        steps = int(trainer.estimated_stepping_batches)
        self.schedule = build_schedule(self.optimizer, pl_module.schedule, steps)
        self.loss, self.steps, self._batch = pl_module.loss, 0, None

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        now = self.clock()
        if self._batch is not None:
            if self.steps >= self.warmup:
                assert self._left is not None
                self.loop.append(now - self._left)
                self.between.append(batch_idx == 0)
            bare = self._step(self._batch)
            if self.steps >= self.warmup:
                self.bare.append(bare)
            self.steps += 1
            if self.steps == self.warmup:
                self.check(pl_module)
        self._batch, self._left = batch, self.clock()

    def _step(self, batch: Any) -> float:
        start = self.clock()
        self.optimizer.zero_grad()
        self.loss(self.surrogate(batch), batch.y, batch).mean().backward()
        clip_grad_norm_(self.surrogate.parameters(), CLIP)
        self.optimizer.step()
        seconds = self.clock() - start
        self.schedule.step()
        return seconds

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._step(self._batch)
        self.check(pl_module)

    def check(self, module: LightningModule) -> None:
        """Check that both models have the same weights."""
        for (name, a), b in zip(
            module.surrogate.named_parameters(),  # pyright: ignore[reportAttributeAccessIssue]
            self.surrogate.parameters(),
            strict=True,
        ):
            torch.testing.assert_close(a, b, msg=lambda text, name=name: f"{name}: {text}")


def write_cases(root: Path, nodes: int, cases: int) -> None:
    """Write random cases in the layout of the elasticity set, half of them for training."""
    rng = np.random.default_rng(0)
    folder = root / "elasticity" / "Meshes"
    folder.mkdir(parents=True)
    np.save(folder / "Random_UnitCell_XY_10.npy", rng.random((nodes, 2, 2 * cases), np.float32))
    np.save(folder / "Random_UnitCell_sigma_10.npy", rng.random((nodes, 2 * cases), np.float32))


def measure(
    nodes: int, steps: int, batch_size: int, warmup: int, clock: Callable[[], float]
) -> dict[str, float]:
    cases = 20 * batch_size
    with tempfile.TemporaryDirectory() as name:
        root, run = Path(name), Path(name) / "run"
        write_cases(root, nodes, cases)
        data = FieldDataModule(
            "elasticity",
            str(root),
            options={"num_train": cases, "num_test": cases},
            in_memory=True,
            batch_size=batch_size,
        )
        torch.manual_seed(0)
        module = build_module(data, "flare", options=dict(MODEL))
        twin = Twin(warmup, clock)
        trainer = Trainer(
            accelerator="cpu",
            max_steps=warmup + steps + 1,
            gradient_clip_val=CLIP,
            logger=TensorBoardLogger(run, name="tensorboard", version=""),
            callbacks=[twin, RunFolder(run, "{}\n"), LastCheckpoint(run / "last.ckpt")],
            plugins=[AtomicCheckpointIO()],
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
            num_sanity_val_steps=0,
        )
        trainer.fit(module, datamodule=data)
    within = [
        (a, b) for a, b, new in zip(twin.loop, twin.bare, twin.between, strict=True) if not new
    ]
    return {
        "loop_ms": 1e3 * statistics.median(a for a, _ in within),
        "bare_ms": 1e3 * statistics.median(b for _, b in within),
        "loop_over_bare": statistics.median(a / b for a, b in within),
        "whole_epochs_over_bare": sum(twin.loop) / sum(twin.bare),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, nargs="+", default=[1_000, 10_000])
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--batch-size", type=int, default=1)
    parser.add_argument("--warmup", type=int, default=10, help="steps before timing starts")
    parser.add_argument("--busy", action="store_true", help="processor time of one thread")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    if given.busy:
        torch.set_num_threads(1)
    clock = time.thread_time if given.busy else time.perf_counter
    results: dict[str, Any] = {
        "clock": "processor" if given.busy else "wall",
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "torch": torch.__version__,
        "sizes": MODEL,
        "batch_size": given.batch_size,
    }
    print(results)
    for nodes in given.nodes:
        row = measure(nodes, given.steps, given.batch_size, given.warmup, clock)
        results[str(nodes)] = row
        cells = ", ".join(f"{key} {value:.4g}" for key, value in row.items())
        print(f"{nodes:,} nodes: {cells}", flush=True)
    if given.json:
        given.json.parent.mkdir(parents=True, exist_ok=True)
        given.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
