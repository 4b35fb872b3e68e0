"""Which tensors compiled loops can take."""

import torch
from torch import Tensor, nn

_TYPES = (Tensor, nn.Parameter)


def are_plain(*tensors: Tensor) -> bool:
    """Whether they are float32 tensors on the CPU, and no subclasses, which may have no memory."""
    return all(
        type(t) in _TYPES and t.device.type == "cpu" and t.dtype == torch.float32 for t in tensors
    )
