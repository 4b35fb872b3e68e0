"""Row-wise functions of fields, chunk by chunk."""

from collections.abc import Callable

import torch
from torch import Tensor


def map_chunks(
    function: Callable[..., Tensor],
    field: Tensor,
    size: int | None,
    dtype: torch.dtype,
    *others: Tensor,
) -> Tensor:
    """Apply a row-wise ``function`` to a field [N, C] chunk by chunk, to save memory.

    Args:
        function: Function of a chunk of ``field`` in the wider of both precisions, and of the same
            rows of ``others``.
        field: [N, C].
        size: Rows of a chunk; None for all.
        dtype: Precision of the result.
        others: More arguments with N rows.
    """
    wide = torch.promote_types(field.dtype, dtype)
    if size is None:
        return function(field.to(wide), *others).to(dtype)
    out = torch.empty_like(field, dtype=dtype)
    rows = zip(*(values.split(size) for values in (out, field, *others)), strict=True)
    for target, chunk, *more in rows:
        target.copy_(function(chunk.to(wide), *more))
    return out
