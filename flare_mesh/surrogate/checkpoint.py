"""Checkpoints of a run, read without running their code."""

from pathlib import Path
from typing import Any

import torch

from flare_mesh.files import is_whole

BEST, LAST = "checkpoints/best.ckpt", "checkpoints/last.ckpt"
"""Checkpoints in a run's folder: of the best epoch on the validation cases, and of the last."""


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read a checkpoint of a run, on the CPU; no code in it is run.

    Raises:
        FileNotFoundError: If it does not exist.
        ValueError: If it is damaged, or contains anything but tensors and plain values.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: no such checkpoint")
    with Path(path).open("rb"):  # raises PermissionError if it is not readable
        pass
    if not is_whole(path):  # torch ignores the checksums
        raise ValueError(f"{path}: damaged, or not a checkpoint of flare-mesh; give another")
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # hostile files end in errors of many types
        # Without torch's advice to run the code in the file.
        lines = [line for line in str(error).splitlines() if line and "weights_only" not in line]
        reason = lines[0].strip()[:200] if lines else type(error).__name__
        raise ValueError(
            f"{path}: damaged, or not a checkpoint of flare-mesh ({reason}); give another"
        ) from error
    if not isinstance(found, dict) or "state_dict" not in found:
        raise ValueError(f"{path}: not a checkpoint of flare-mesh; give one from a run's folder")
    return found
