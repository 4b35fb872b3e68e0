"""Devices by name."""

import torch


def find_device(name: str) -> torch.device:
    """``"cpu"``, ``"cuda"`` or ``"cuda:1"``, or with ``"auto"`` a CUDA device where there is one.

    Raises:
        ValueError: If there is no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ValueError(f"device: expected 'cpu', 'cuda' or 'auto' (got '{name}')") from error
    if device.type not in ("cpu", "cuda"):
        raise ValueError(f"device: expected 'cpu', 'cuda' or 'auto' (got '{name}')")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(
            f"device: '{name}' asks for CUDA, which this machine or this build of torch does not "
            f"have; take device 'cpu'"
        )
    if (device.index or 0) >= max(1, torch.cuda.device_count()):
        raise ValueError(
            f"device: there is no '{name}'; this machine has {torch.cuda.device_count()} CUDA "
            f"devices"
        )
    return device
