"""Devices by name, and their memory."""

import sys

import torch


def find_device(name: str | torch.device) -> torch.device:
    """Find a device: ``"cpu"``, ``"cuda"``, ``"cuda:1"``, or ``"auto"`` for CUDA if available.

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
            f"device: '{name}' needs CUDA, which this machine or this build of torch does not "
            f"have; choose device 'cpu'"
        )
    count = torch.cuda.device_count()
    if (device.index or 0) >= max(1, count):
        raise ValueError(f"device: there is no '{name}'; this machine has {count} CUDA devices")
    return device


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the memory of a device or of the host was not enough."""
    # On the CPU torch raises a plain RuntimeError.
    text = str(error)
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        "out of memory" in text or "can't allocate memory" in text
    )


def peak_memory(device: torch.device | None = None) -> int:
    """Largest memory used so far, bytes: by tensors on a CUDA device, else by this process."""
    if device is not None and device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if sys.platform == "win32":
        import psutil

        return psutil.Process().memory_info().peak_wset
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
