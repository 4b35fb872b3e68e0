"""Files of a run."""

import csv
import io
import json
import os
import platform
import re
import sys
import time
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil
import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint

from flare_mesh._version import __version__
from flare_mesh.files import write_text

_RESULTS = (
    "checkpoints/*",
    "ema/*",
    "events/*",
    "surrogate.safetensors",
    "summary.json",
    "metrics.csv",
    "test.json",
    "test_cases.csv",
    "model/config.json",
    "model/model.safetensors",
)
"""Results of a run; config.yaml and the like are written again at each start."""

_PACKAGES = ("torch", "torch-geometric", "lightning", "numpy", "numba", "safetensors")


class RunFolder(Checkpoint):
    """Folder with the configuration, environment, splits and metrics of a run.

    =====================  ==========================================================
    ``config.yaml``        all options, resolved; ``--config`` repeats the run with it
    ``environment.json``   versions, device, number of threads and processes
    ``splits.json``        names of the cases of each split, and their checksum
    ``metrics.csv``        a row for each epoch, also of a resumed run
    =====================  ==========================================================

    The rows are saved in the checkpoints. A row has the values logged in its epoch, and no
    validation errors if there was no validation. Lightning calls checkpoint callbacks last in an
    epoch, after all values are logged, so this is one.

    Args:
        folder: The run's folder.
        config: Text of the resolved configuration.
        replace: Whether the results of an earlier run in the folder are removed when training
            starts.

    Attributes:
        started: Whether training has started, so that nothing can be refused any more.
        rows: Rows of ``metrics.csv``.
        seconds: Time spent in training epochs, also before the run was resumed.
        steps: Number of steps in that time.
    """

    def __init__(self, folder: str | Path, config: str, *, replace: bool = False) -> None:
        self.folder = Path(folder)
        self.config = config
        # Listed now, since loggers create their files before training starts.
        self._replaced = written_files(self.folder) if replace else []
        self._validated = False
        self.started = False
        self.rows: list[dict[str, float]] = []
        self.seconds = 0.0
        self.steps = 0
        self._start, self._first = 0.0, 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.started = True
        # An epoch that is resumed in the middle has no start.
        self._start, self._first = time.perf_counter(), trainer.global_step
        if not trainer.is_global_zero:
            return
        remove_partial_files(self.folder)
        for path in self._replaced:
            path.unlink(missing_ok=True)
        write_text(self.folder / "config.yaml", self.config)
        write_json(self.folder / "environment.json", environment(trainer))
        data = getattr(trainer, "datamodule", None)
        if data is not None:
            write_json(self.folder / "splits.json", data.describe_splits())

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._validated = False
        self._start, self._first = time.perf_counter(), trainer.global_step

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._validated = not trainer.sanity_checking

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        seconds, steps = time.perf_counter() - self._start, trainer.global_step - self._first
        self.seconds, self.steps = self.seconds + seconds, self.steps + steps
        row: dict[str, float] = {"epoch": trainer.current_epoch, "step": trainer.global_step}
        for name, value in sorted(trainer.callback_metrics.items()):
            # Lightning keeps the values of the last validation.
            if self._validated or not name.startswith("val_"):
                row[name] = float(value)
        row["lr"] = float(trainer.optimizers[0].param_groups[0]["lr"])
        row["seconds"] = round(seconds, 3)
        self.rows.append(row)
        if trainer.is_global_zero:
            write_csv(self.folder / "metrics.csv", self.rows)

    def state_dict(self) -> dict[str, Any]:
        return {"rows": self.rows, "seconds": self.seconds, "steps": self.steps}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rows = list(state_dict["rows"])
        self.seconds, self.steps = state_dict["seconds"], state_dict["steps"]


def written_files(folder: Path) -> list[Path]:
    """Results of an earlier run in its folder."""
    found = (path for pattern in _RESULTS for path in folder.glob(pattern))
    return [path for path in found if path.is_file() or path.is_symlink()]


def remove_partial_files(folder: Path) -> None:
    """Remove the temporary files of :func:`atomic_path` of processes that were killed."""
    # A container gives its processes the same ids each time, so this one's may be an old one's.
    alive = {*psutil.pids()} - {os.getpid()}
    for pattern in (".*.partial*", "checkpoints/.*.partial*", "ema/.*.partial*"):
        for path in folder.glob(pattern):
            found = re.search(r"\.(\d+)\.partial(\.\w+)?$", path.name)
            if found and int(found[1]) not in alive:
                path.unlink(missing_ok=True)


def environment(trainer: Trainer) -> dict[str, Any]:
    """Versions, machine and command of a run, on which its result depends too."""
    device = trainer.strategy.root_device
    return {
        "flare_mesh": __version__,
        "python": platform.python_version(),
        **{name: _version(name) for name in _PACKAGES},
        "platform": platform.platform(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "processes": trainer.world_size,
        "threads": torch.get_num_threads(),
        "command": sys.argv,
        "resumed": trainer.ckpt_path is not None,
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write a JSON file atomically."""
    write_text(path, json.dumps(values, indent=2) + "\n")


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write a CSV file atomically, its columns in the order of their first appearance."""
    text = io.StringIO(newline="")
    columns = dict.fromkeys(key for row in rows for key in row)
    writer = csv.DictWriter(text, list(columns), lineterminator=os.linesep)
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())
