"""The two halves of the mixer as a plain reference: slow, readable, exact in float64."""

from itertools import pairwise

import torch
from torch import Tensor

from flare_mesh.ops.layout import Layout
from flare_mesh.ops.precision import sum_dtype, wide


def encode(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    layout: Layout,
    log_weight: Tensor | None,
    scale: float,
) -> tuple[Tensor, Tensor]:
    """Latents [B, H, M, D] and log-sum-exps [B, H, M], graph by graph.

    Shapes: query [B, H, M, D]; key, value [N, H, D]; log_weight [N]. float16 and bfloat16 are
    computed in float32, other types in their own precision.
    """
    query, key, value = wide(query), wide(key), wide(value)
    latents = [query.new_zeros(0, *query.shape[1:])]
    sums = [query.new_zeros(0, *query.shape[1:3])]
    for graph, (start, stop) in enumerate(pairwise(layout.offsets)):
        scores = scale * query[graph] @ key[start:stop].permute(1, 2, 0)  # [H, M, N]
        if log_weight is not None:
            scores = scores + log_weight[start:stop].to(scores.dtype)
        latents.append((torch.softmax(scores, dim=-1) @ value[start:stop].transpose(0, 1))[None])
        sums.append(torch.logsumexp(scores, dim=-1)[None])
    return torch.cat(latents), torch.cat(sums)


def decode(query: Tensor, key: Tensor, latent: Tensor, layout: Layout, scale: float) -> Tensor:
    """Values [N, H, D] at the nodes; query, latent [B, H, M, D]; key [N, H, D]."""
    dtype = key.dtype
    query, key, latent = wide(query), wide(key), latent.to(sum_dtype(key))
    parts = [key[:0]]
    for graph, (start, stop) in enumerate(pairwise(layout.offsets)):
        scores = scale * key[start:stop].transpose(0, 1) @ query[graph].transpose(-1, -2)
        parts.append((torch.softmax(scores, dim=-1) @ latent[graph]).transpose(0, 1))
    return torch.cat(parts).to(dtype)
