"""Precision of softmax and sums, for which half precision is too coarse."""

import torch
from torch import Tensor


def sum_dtype(tensor: Tensor) -> torch.dtype:
    """float64 for float64 tensors, otherwise float32."""
    return torch.float64 if tensor.dtype == torch.float64 else torch.float32


def wide(tensor: Tensor) -> Tensor:
    """The tensor in its :func:`sum_dtype`; a copy only if the dtype differs."""
    return tensor.to(sum_dtype(tensor))
