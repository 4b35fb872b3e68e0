"""Where a simulation is computed."""

import torch


def check_device(device: str | torch.device) -> None:
    """Refuses a device that cannot compute.

    Raises:
        ValueError: If it is none, or not there.
    """
    try:
        torch.empty(1, device=device).cpu()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"device '{device}': cannot be used ({reason}); choose 'cpu' or 'cuda'"
        ) from error
