"""What a run leaves behind."""

import csv
import hashlib
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

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint

from flare_mesh._version import __version__
from flare_mesh.files import atomic_path

_RESULTS = (
    "checkpoints/*",
    "ema/*",
    "events/*",
    "surrogate.safetensors",
    "summary.json",
    "metrics.csv",
    "test.json",
    "test_cases.csv",
)
"""What a run writes beside what each start of it writes anew."""

_PACKAGES = ("torch", "torch-geometric", "lightning", "numpy", "numba", "safetensors")


class RunFolder(Checkpoint):
    """Writes configuration, environment, splits and metrics of a run into one folder.

    =====================  ==========================================================
    ``config.yaml``        all options, resolved; runs it again
    ``environment.json``   versions, device, number of threads and processes
    ``splits.json``        names of the cases of each split, and their checksum
    ``metrics.csv``        a row an epoch; complete also after resuming
    =====================  ==========================================================

    It belongs to the checkpoint callbacks for their place in an epoch: after all is logged. Its
    rows are in the checkpoints, so that a resumed run goes on with the same table. A row has what
    was logged in its epoch: none of the validation's errors where there was no validation.

    Args:
        folder: The run's folder.
        config: Text of the resolved configuration.
        replace: Removes what an earlier run left in the folder, once all is ready to train.
    """

    def __init__(self, folder: str | Path, config: str, *, replace: bool = False) -> None:
        self.folder = Path(folder)
        self.config = config
        # Listed now, for loggers begin their files before training does.
        self._replaced = written_files(self.folder) if replace else []
        self._validated = False
        self.started = False
        """Whether training has begun: all that can be refused was not."""
        self.rows: list[dict[str, float]] = []
        self._start, self._first = 0.0, 0
        self.seconds = 0.0
        """Time spent in training epochs, over all parts of the run."""
        self.steps = 0
        """Steps in that time."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.started = True
        # An epoch that is taken up in its middle has no start of its own.
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
            write_json(self.folder / "splits.json", describe_splits(data.case_ids()))

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
            # Lightning keeps those of the last validation.
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
    """What an earlier run left in its folder, of all that it writes."""
    found = (path for pattern in _RESULTS for path in folder.glob(pattern))
    return [path for path in found if path.is_file() or path.is_symlink()]


def remove_partial_files(folder: Path) -> None:
    """Removes what processes that were killed while they wrote a file left of it."""
    for pattern in (".*.partial*", "checkpoints/.*.partial*", "ema/.*.partial*"):
        for path in folder.glob(pattern):
            # As named by `atomic_path`.
            found = re.search(r"\.(\d+)\.partial(\.\w+)?$", path.name)
            if found and not _is_other_process(int(found[1])):
                path.unlink(missing_ok=True)


def _is_other_process(number: int) -> bool:
    if number == os.getpid():
        return False  # a container's processes have the same numbers each time
    try:
        os.kill(number, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True


def describe_splits(case_ids: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Names of the cases of each split, how many, and a checksum by which to compare them."""
    return {
        stage: {
            "count": len(ids),
            "sha256": hashlib.sha256("\n".join(sorted(ids)).encode()).hexdigest(),
            "cases": list(ids),
        }
        for stage, ids in case_ids.items()
    }


def environment(trainer: Trainer) -> dict[str, Any]:
    """What else decides the result beside the configuration."""
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


def write_text(path: Path, text: str) -> None:
    """Writes a text file whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Writes a JSON file whole or not at all."""
    write_text(path, json.dumps(values, indent=2) + "\n")


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Writes a table whole or not at all; columns in the order of their first appearance."""
    text = io.StringIO(newline="")
    columns = dict.fromkeys(key for row in rows for key in row)
    writer = csv.DictWriter(text, list(columns), lineterminator=os.linesep)
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())
