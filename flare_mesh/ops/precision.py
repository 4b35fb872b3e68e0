"""In which precision softmax and sums are computed: half precision would spoil them."""

import torch
from torch import Tensor


def sum_dtype(tensor: Tensor) -> torch.dtype:
    """float64 for float64 input, float32 for all other."""
    return torch.float64 if tensor.dtype == torch.float64 else torch.float32


def wide(tensor: Tensor) -> Tensor:
    """The tensor in its :func:`sum_dtype`; free where it has it."""
    return tensor.to(sum_dtype(tensor))
