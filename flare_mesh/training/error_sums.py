"""Mean errors over cases, for any batches and number of processes."""

import torch
from torch import Tensor


class ErrorSums:
    """Weighted sums of errors, one column for each field, and sums of the weights.

    They stay on the device until the mean is needed.

    Attributes:
        total: Sums of the errors and of the weights, [2, F]; None before the first batch.
    """

    def __init__(self) -> None:
        self.total: Tensor | None = None

    def reset(self) -> None:
        """Remove all errors."""
        self.total = None

    def add(self, errors: Tensor, weight: Tensor) -> None:
        """Add errors [B, F] with weights [B, F]; an error of weight 0 may be NaN."""
        # MPS devices have no float64.
        wide = torch.float32 if errors.device.type == "mps" else torch.float64
        weight = weight.to(wide)
        errors = torch.where(weight > 0, errors.detach().to(wide), 0.0)
        both = torch.stack([(errors * weight).sum(0), weight.sum(0)])
        # Sums from a checkpoint are on the CPU.
        self.total = both if self.total is None else self.total.to(both) + both

    def mean(self) -> Tensor:
        """Mean over the cases of all processes, [F]; NaN for a field without errors."""
        assert self.total is not None
        total = all_reduce_sum(self.total)
        return total[0] / total[1]


def all_reduce_sum(values: Tensor) -> Tensor:
    """Sum over all processes; the values themselves in a run of one process."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        values = values.clone()
        torch.distributed.all_reduce(values)
    return values
