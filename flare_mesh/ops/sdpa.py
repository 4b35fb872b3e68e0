"""The two halves of the mixer as fused scaled-dot-product attention calls on groups of graphs."""

from itertools import pairwise

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from torch.utils.checkpoint import checkpoint

from flare_mesh.ops.layout import Layout
from flare_mesh.ops.precision import wide

_LSE_CHUNK = 8192  # nodes whose scores are in memory at a time for log-sum-exps


def biased_attention(
    query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, scale: float
) -> Tensor:
    """Attention with ``bias`` [B, N] or None added to the scores of each of the N keys.

    Shapes: query [B, H, M, D]; key, value [B, H, N, D]; output [B, H, M, D], in float32 or float64
    with a bias.
    """
    attn_mask = None
    if bias is not None:
        # The mask must have the dtype of the query: half precision would spoil log weights.
        query, key, value = wide(query), wide(key), wide(value)
        attn_mask = bias.to(key.dtype)[:, None, None, :].expand(-1, 1, query.shape[-2], -1)
    return scaled_dot_product_attention(query, key, value, attn_mask=attn_mask, scale=scale)


def encode_latents(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    layout: Layout,
    log_weight: Tensor | None,
    scale: float,
) -> Tensor:
    """Latents of :func:`encode`, in one pass."""
    packing = layout.packing
    if not packing.groups:  # no nodes, but the other processes of a group wait for gradients
        zero = wide(query) * 0
        return zero + (key.sum() + value.sum()).to(zero.dtype)
    latents = []
    for group in packing.groups:
        k, v = (group.pack(t).transpose(1, 2) for t in (key, value))
        bias = group.bias(log_weight)
        latents.append(wide(biased_attention(query[group.graphs], k, v, bias, scale)))
    return packing.unpack_graphs(latents)


def _log_sum_exp(
    query: Tensor, key: Tensor, layout: Layout, log_weight: Tensor | None, scale: float
) -> Tensor:
    """Log-sum-exps [B, H, M]; scores exist for a chunk of nodes at a time, in the backward too."""
    query = wide(query)

    def chunk_sum(q: Tensor, k: Tensor, bias: Tensor | None) -> Tensor:
        scores = scale * q @ k.to(q.dtype).permute(1, 2, 0)
        return torch.logsumexp(scores if bias is None else scores + bias.to(q.dtype), dim=-1)

    rows = []
    for graph, (start, stop) in enumerate(pairwise(layout.offsets)):
        parts = [query.new_full(query.shape[1:3], -torch.inf)]
        for a in range(start, stop, _LSE_CHUNK):
            nodes = slice(a, min(a + _LSE_CHUNK, stop))
            bias = None if log_weight is None else log_weight[nodes]
            parts.append(checkpoint(chunk_sum, query[graph], key[nodes], bias, use_reentrant=False))
        rows.append(parts[0] if len(parts) == 1 else torch.logsumexp(torch.stack(parts[1:]), dim=0))
    return torch.stack(rows) if rows else query.new_zeros(query.shape[:3])


def encode(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    layout: Layout,
    log_weight: Tensor | None,
    scale: float,
) -> tuple[Tensor, Tensor]:
    """As the reference; log-sum-exps, which SDPA does not return, cost another pass."""
    latent = encode_latents(query, key, value, layout, log_weight, scale)
    return latent, _log_sum_exp(query, key, layout, log_weight, scale)


def decode(query: Tensor, key: Tensor, latent: Tensor, layout: Layout, scale: float) -> Tensor:
    """As the reference."""
    packing = layout.packing
    if not packing.groups:  # no nodes, but the other processes of a group wait for gradients
        return key + (query.sum() + latent.sum()).to(key.dtype)
    values = []
    for group in packing.groups:
        k, q, z = group.pack(key).transpose(1, 2), query[group.graphs], latent[group.graphs]
        values.append(scaled_dot_product_attention(k, q, z.to(k.dtype), scale=scale))
    return packing.unpack_nodes([value.transpose(1, 2) for value in values])
