"""Asynchronous copy of a scalar from a device to the host."""

import torch
from torch import Tensor


class AsyncScalar:
    """Host copy of a scalar, started on construction and awaited by :meth:`read`.

    Reading waits for the work that the device was given before the copy, not for later work: the
    loss of a step can be read while its backward pass still runs.

    Args:
        value: Tensor with one element.
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
        """Wait for the copy and return the number."""
        if self._event is not None:
            self._event.synchronize()
        return self._value.item()
