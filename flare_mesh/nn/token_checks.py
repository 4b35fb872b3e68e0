"""Checks of tokens."""

import torch
from torch import Tensor


def check_tokens(tokens: Tensor, count: int) -> None:
    """Check tokens [N] of a vocabulary, unless the code is being compiled.

    Their values are checked on the CPU only: on a GPU this would wait for them, and torch stops at
    the embedding of a number that is too large.

    Args:
        tokens: The tokens, int64 [N].
        count: Number of tokens in the vocabulary.

    Raises:
        ValueError: If the shape, the dtype or a value does not fit.
    """
    if torch.compiler.is_compiling():
        return
    if tokens.dim() != 1 or tokens.dtype != torch.int64:
        got = f"{tokens.dtype} {list(tokens.shape)}"
        raise ValueError(f"expected 'tokens' of dtype torch.int64 and shape [N] (got {got})")
    if tokens.device.type != "cpu" or not len(tokens):
        return
    low, high = int(tokens.min()), int(tokens.max())
    if not 0 <= low <= high < count:
        raise ValueError(f"expected tokens from 0 to {count - 1} (got {low} to {high})")
