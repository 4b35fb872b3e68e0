"""Mean errors over cases, whatever the batches and processes."""

import torch
from torch import Tensor


class ErrorSums:
    """Weighted sums of errors, one column a field, and of the weights.

    They stay on the device until the mean is asked for.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forgets everything."""
        self.total: Tensor | None = None

    def add(self, errors: Tensor, weight: Tensor) -> None:
        """Adds errors [B, F] with weights [B, F]; what has no weight may be anything."""
        # Apple's devices have no double precision.
        wide = torch.float32 if errors.device.type == "mps" else torch.float64
        weight = weight.to(wide)
        errors = torch.where(weight > 0, errors.detach().to(wide), 0.0)
        both = torch.stack([(errors * weight).sum(0), weight.sum(0)])
        # What a checkpoint brought is on the CPU.
        self.total = both if self.total is None else self.total.to(both) + both

    def mean(self) -> Tensor:
        """Mean of each field, [F], over the cases of all processes; NaN where there is none."""
        assert self.total is not None
        total = summed(self.total)
        return total[0] / total[1]


def summed(values: Tensor) -> Tensor:
    """Sum over the processes, where there are several."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        values = values.clone()
        torch.distributed.all_reduce(values)
    return values
