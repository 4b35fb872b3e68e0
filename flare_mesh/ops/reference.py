"""The FLARE mixer written out plainly: slow, readable, exact in float64."""

from itertools import pairwise

import torch
from torch import Tensor


def _mix(query: Tensor, key: Tensor, value: Tensor, log_weight: Tensor | None, scale: float):
    """One graph: query [H, M, D]; key, value [H, N, D]; log_weight [N]; returns [H, N, D]."""
    scores = scale * query @ key.transpose(-1, -2)  # [H, M, N]
    encode = scores if log_weight is None else scores + log_weight
    latent = torch.softmax(encode, dim=-1) @ value  # [H, M, D]
    return torch.softmax(scores.transpose(-1, -2), dim=-1) @ latent


def flare_attention_reference(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    ptr: Tensor | None = None,
    mask: Tensor | None = None,
    weight: Tensor | None = None,
    scale: float = 1.0,
) -> Tensor:
    """Graph by graph, with explicit scores; arguments as in :func:`flare_mesh.flare_attention`.

    float16 and bfloat16 are computed in float32, other types in their own precision.
    """
    dtype = value.dtype
    if dtype in (torch.float16, torch.bfloat16):
        query, key, value = query.float(), key.float(), value.float()
    log_weight = None if weight is None else weight.to(value.dtype).log()

    def query_of(graph: int) -> Tensor:
        return query if query.dim() == 3 else query[graph]

    if ptr is not None:
        parts = []
        for graph, (start, end) in enumerate(pairwise(ptr.tolist())):
            rows = slice(start, end)
            mixed = _mix(
                query_of(graph),
                key[rows].transpose(0, 1),
                value[rows].transpose(0, 1),
                None if log_weight is None else log_weight[rows],
                scale,
            )
            parts.append(mixed.transpose(0, 1))
        return torch.cat([value[:0], *parts]).to(dtype)

    out = torch.zeros_like(value)
    for graph in range(value.shape[0]):
        keep = slice(None) if mask is None else mask[graph]
        out[graph][:, keep] = _mix(
            query_of(graph),
            key[graph][:, keep],
            value[graph][:, keep],
            None if log_weight is None else log_weight[graph][keep],
            scale,
        )
    return out.to(dtype)
