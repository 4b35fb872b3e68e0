"""Checks of weights that are read from a file."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode


def check_finite_weights(weights: Mapping[str, Tensor]) -> None:
    """Refuse weights with NaN or infinite values, with which every prediction is NaN.

    Raises:
        ValueError: If there are some; names the first tensor.
    """
    for name, values in weights.items():
        bad = values.numel() - int(values.isfinite().sum())
        if bad:
            raise ValueError(
                f"the weights are not finite ({bad:,} of {values.numel():,} in '{name}' are NaN or "
                f"infinite); the training has diverged"
            )


def check_needed_weights(
    weights: Mapping[str, Tensor], options: Mapping[str, Any], make: Callable[[], nn.Module]
) -> None:
    """Refuse options of a model that need more weights than there are, before it takes memory.

    Args:
        weights: Stored weights.
        options: Options of the model.
        make: Function that makes the model; it is called on torch's device ``meta``.

    Raises:
        ValueError: If the options need more.
    """
    stored = sum(values.numel() for values in weights.values())
    _check_sizes(options, stored, len(weights))
    with torch.device("meta"), _WithoutRandomNumbers():
        try:
            needed = sum(values.numel() for values in make().state_dict().values())
        except OverflowError as error:
            raise ValueError(f"a number in its options is too large ({error})") from error
    if needed > stored:
        raise ValueError(f"its options need {needed:,} weights, and the file has {stored:,}")


class _WithoutRandomNumbers(TorchFunctionMode):
    """Draws no initial weights: on the device ``meta``, that would import torch's compiler."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func.__name__ in ("normal_", "uniform_", "kaiming_uniform_"):
            return args[0] if args else (kwargs or {})["tensor"]
        return func(*args, **(kwargs or {}))


def _check_sizes(options: Mapping[str, Any], stored: int, tensors: int) -> None:
    for name, value in options.items():
        if isinstance(value, Mapping):
            _check_sizes(value, stored, tensors)
        if isinstance(value, list):
            for one in value:
                _check_sizes({name: one}, stored, tensors)
        # Each layer has a tensor of its own.
        most = tensors if name.endswith(("layers", "blocks")) else stored
        if isinstance(value, int) and value > max(most, 64):
            raise ValueError(f"its option {name}={value:,} needs more weights than the file has")
