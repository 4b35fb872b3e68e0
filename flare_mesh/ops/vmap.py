"""Rules of ``torch.func.vmap`` for the library's autograd functions."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def one_by_one(function: Callable[..., Any]) -> Callable[..., Any]:
    """Rule that calls the function for each element of the mapped dimension."""

    def rule(info: Any, in_dims: tuple, *args: Any) -> tuple[Any, Any]:
        results = [
            function(
                *(a if d is None else a.select(d, i) for a, d in zip(args, in_dims, strict=True))
            )
            for i in range(info.batch_size)
        ]
        if isinstance(results[0], Tensor):
            return torch.stack(results), 0
        outputs = tuple(torch.stack(parts) for parts in zip(*results, strict=True))
        return outputs, (0,) * len(outputs)

    return rule
