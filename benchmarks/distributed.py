"""Training speed of two DistributedDataParallel processes relative to the ideal.

    python benchmarks/distributed.py [--nodes 1000 10000] [--batch-size 2] [--json FILE]

The ideal is two independent processes of one thread each that train the same batches at the same
time, so that they share caches and memory in the same way. Before the timing, the weights of the
two processes are compared with the weights of one process that trains on both batches at once.
Times are medians of the steps of ``Trainer.fit`` over all rounds, which alternate between both.
"""

import argparse
import json
import logging
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from safetensors.torch import load_file, save_file
from training_loop import MODEL, write_cases

from flare_mesh.training import FieldDataModule, ScheduleConfig, build_module

COMPARED = 3
"""Steps after which weights are compared."""


class Clock(Callback):
    """Measure the time of each step after the warm-up of all processes."""

    def __init__(self, folder: Path, rank: int, processes: int, warmup: int) -> None:
        self.folder, self.rank, self.processes, self.warmup = folder, rank, processes, warmup
        self.seconds: list[float] = []
        self.weights = torch.empty(0)
        self._last: float | None = None

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        now = time.perf_counter()
        if self._last is not None:
            self.seconds.append(now - self._last)
        if trainer.global_step == COMPARED:
            self.weights = torch.cat([p.detach().ravel() for p in pl_module.parameters()])
        if trainer.global_step == self.warmup:
            (self.folder / f"ready_{self.rank}").touch()
            while len(list(self.folder.glob("ready_*"))) < self.processes:
                time.sleep(0.001)
        if trainer.global_step >= self.warmup:
            self._last = time.perf_counter()


def worker(given: argparse.Namespace) -> None:
    """Train in this process; ``given.worker`` is "ddp", "alone", or "both" (batches in one)."""
    torch.set_num_threads(1)
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    together, both = given.worker == "ddp", given.worker == "both"
    cases = 40 * given.batch_size
    data = FieldDataModule(
        "elasticity",
        str(given.folder),
        options={"num_train": cases, "num_test": cases},
        in_memory=True,
        batch_size=given.batch_size * (2 if both else 1),
        seed=0,
    )
    torch.manual_seed(0)
    constant = ScheduleConfig(name="constant")  # independent of the number of steps
    module = build_module(data, "flare", options=dict(MODEL), schedule=constant)
    clock = Clock(given.rendezvous, given.rank, 1 if both else 2, given.warmup)
    steps = COMPARED if both else given.warmup + given.steps
    trainer = Trainer(
        accelerator="cpu",
        devices=2 if together else 1,
        strategy="ddp" if together else "auto",
        max_steps=steps,
        gradient_clip_val=1.0,
        callbacks=[clock],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
    )
    trainer.fit(module, datamodule=data)
    save_file({"w": clock.weights}, given.rendezvous / f"weights_{given.rank}.safetensors")
    if clock.seconds:
        print(json.dumps(clock.seconds))


def start(given: argparse.Namespace, folder: Path, mode: str) -> list[list[float]]:
    """Run the processes of a mode; return the seconds of the steps of each."""
    folder.mkdir(parents=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    processes = []
    for rank in range(1 if mode == "both" else 2):
        environment = dict(os.environ)
        if mode == "ddp":
            environment |= {"LOCAL_RANK": str(rank), "NODE_RANK": "0"}
            environment |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        command = [sys.executable, __file__, "--worker", mode, "--rank", str(rank)]
        command += ["--folder", str(given.folder), "--rendezvous", str(folder)]
        for name in ("batch_size", "warmup", "steps"):
            command += [f"--{name.replace('_', '-')}", str(getattr(given, name))]
        processes.append(
            subprocess.Popen(
                command,
                env=environment,
                text=True,
                stdout=subprocess.PIPE,
                stderr=(folder / f"log_{rank}").open("w"),
            )
        )
    printed = [process.communicate()[0] for process in processes]
    for rank, process in enumerate(processes):
        if process.returncode:
            log = (folder / f"log_{rank}").read_text()[-2000:]
            raise SystemExit(f"process {rank} of '{mode}' failed:\n{log}")
    return [json.loads(text.splitlines()[-1]) for text in printed if text.strip()]


def check(given: argparse.Namespace, folder: Path) -> None:
    """Check that two processes have the weights of one with the batches of both."""
    for mode in ("ddp", "both"):
        start(given, folder / mode, mode)
    ours = [load_file(folder / "ddp" / f"weights_{rank}.safetensors")["w"] for rank in range(2)]
    one = load_file(folder / "both" / "weights_0.safetensors")["w"]
    assert torch.equal(*ours), "the processes have different weights"
    torch.testing.assert_close(ours[0], one, rtol=1e-4, atol=1e-5)


def measure(given: argparse.Namespace, nodes: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as name:
        given.folder = Path(name)
        write_cases(given.folder, nodes, 40 * given.batch_size)
        steps, given.steps = given.steps, 1
        check(given, given.folder / "check")
        given.steps = steps
        seconds: dict[str, list[float]] = {"ddp": [], "alone": []}
        for turn in range(given.repeat):
            for mode, found in seconds.items():
                for times in start(given, given.folder / f"{mode}_{turn}", mode):
                    found += times
    median = {mode: statistics.median(times) for mode, times in seconds.items()}
    return {
        "ddp_ms": 1e3 * median["ddp"],
        "alone_ms": 1e3 * median["alone"],
        "share_of_ideal": median["alone"] / median["ddp"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, nargs="+", default=[1_000, 10_000])
    parser.add_argument("--batch-size", type=int, default=2, help="cases per process and step")
    parser.add_argument("--warmup", type=int, default=5, help="steps before the timing")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--repeat", type=int, default=3, help="rounds")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--worker", choices=["ddp", "alone", "both"], help=argparse.SUPPRESS)
    parser.add_argument("--rank", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--rendezvous", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.warmup < COMPARED:
        parser.error(f"expected --warmup of at least {COMPARED} (got {given.warmup})")
    if given.worker:
        worker(given)
        return
    results: dict[str, Any] = {
        "cores": os.cpu_count(),
        "torch": torch.__version__,
        "sizes": MODEL,
        "batch_size": given.batch_size,
    }
    print(results)
    for nodes in given.nodes:
        results[str(nodes)] = row = measure(given, nodes)
        cells = ", ".join(f"{key} {value:.4g}" for key, value in row.items())
        print(f"{nodes:,} nodes: {cells}", flush=True)
    if given.json:
        given.json.parent.mkdir(parents=True, exist_ok=True)
        given.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
