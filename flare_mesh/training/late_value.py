"""A number on a device that is read when it is there."""

import torch
from torch import Tensor


class LateValue:
    """A copy of a number to the host, begun now and read later.

    Reading waits for what the device had to do before the copy, not for what came after: a step's
    loss is there while its backward still runs.
    """

    def __init__(self, value: Tensor) -> None:
        value = value.detach()
        self._event: torch.cuda.Event | None = None
        if value.device.type == "cuda":
            self._value = torch.empty((), dtype=value.dtype, pin_memory=True)
            self._value.copy_(value, non_blocking=True)
            self._event = torch.cuda.Event()
            self._event.record()
        else:
            self._value = value

    def read(self) -> float:
        """The number."""
        if self._event is not None:
            self._event.synchronize()
        return self._value.item()
