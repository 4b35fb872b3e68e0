"""Checkpoints of a run, read without running code from them."""

from pathlib import Path
from typing import Any

import torch

from flare_mesh.files import is_whole


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """A checkpoint of a run, on the CPU; no code is run from it.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If it is damaged, or holds anything else than tensors and plain values.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: no checkpoint there")
    with Path(path).open("rb"):  # says so if it may not be read
        pass
    if not is_whole(path):  # torch does not look at the checksums
        raise ValueError(f"{path}: damaged, or not a checkpoint of flare-mesh; take another")
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # hostile files end in errors of a dozen types
        # Without torch's advice to run the file's code.
        lines = [line for line in str(error).splitlines() if line and "weights_only" not in line]
        reason = lines[0].strip()[:200] if lines else type(error).__name__
        raise ValueError(
            f"{path}: damaged, or not a checkpoint of flare-mesh ({reason}); take another"
        ) from error
    if not isinstance(found, dict) or "state_dict" not in found:
        raise ValueError(f"{path}: not a checkpoint of flare-mesh; take one of a run's folder")
    return found
