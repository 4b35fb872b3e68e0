"""The two halves of the mixer as fused scaled-dot-product attention calls on groups of graphs."""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from torch.utils.checkpoint import checkpoint

from flare_mesh.ops.layout import Layout
from flare_mesh.ops.precision import wide
from flare_mesh.ops.recording import is_plain

_LSE_CHUNK = 8192  # nodes whose scores are in memory at a time for log-sum-exps


class _FirstDerivatives(torch.autograd.Function):
    """Gradients that cannot be differentiated again."""

    @staticmethod
    def forward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        return tuple(None if g is None else g.view_as(g) for g in grads)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        raise NotImplementedError(
            "flare_mesh: the backend 'sdpa', which 'auto' takes for a single mesh of few nodes, "
            "has no second derivatives; use backend='reference'"
        )


def _mark(grads: tuple[Tensor | None, ...], _: Any) -> Any:
    return _FirstDerivatives.apply(*grads) if torch.is_grad_enabled() else None


def _once(mixed: Tensor, latent: Tensor | None = None) -> Tensor:
    """Result of fused attention whose second derivatives raise an error that names the way out.

    With ``latent`` that have been encoded, the hook of the encode is enough: each costs some 10 us.
    """
    if is_plain() and (latent is None or latent.grad_fn is None):
        node = mixed.grad_fn
        # Torch's math kernel consists of plain operations, which have second derivatives.
        if node is not None and type(node).__name__.startswith("ScaledDotProduct"):
            node.register_hook(_mark)
    return mixed


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
        latents.append(wide(_once(biased_attention(query[group.graphs], k, v, bias, scale))))
    return packing.unpack_graphs(latents)


def _log_sum_exp(
    query: Tensor, key: Tensor, layout: Layout, log_weight: Tensor | None, scale: float
) -> Tensor:
    """Log-sum-exps [B, H, M]; scores exist for a chunk of nodes at a time, in the backward too."""
    query, packing = wide(query), layout.packing

    def chunk_sum(q: Tensor, k: Tensor, bias: Tensor | None) -> Tensor:
        scores = scale * q @ k.to(q.dtype).permute(0, 2, 3, 1)  # [G, H, M, L]
        if bias is not None:
            scores = scores + bias.to(q.dtype)[:, None, None]
        return torch.logsumexp(scores, dim=-1)

    if not packing.groups:
        return query.new_full(query.shape[:3], -torch.inf)
    rows = []
    for group in packing.groups:
        q, k, bias = query[group.graphs], group.pack(key), group.bias(log_weight)
        length = max(1, _LSE_CHUNK // group.count)
        if torch.compiler.is_compiling() or k.shape[1] <= length:
            rows.append(chunk_sum(q, k, bias))  # compiled code takes any number of nodes
            continue
        parts = [
            checkpoint(chunk_sum, q, k[:, part], bias if bias is None else bias[:, part],
                       use_reentrant=False)
            for part in _chunks(k.shape[1], length)
        ]  # fmt: skip
        rows.append(torch.logsumexp(torch.stack(parts), dim=0))
    return packing.unpack_graphs(rows, fill=-torch.inf)


def _chunks(nodes: int, length: int) -> list[slice]:
    return [slice(start, start + length) for start in range(0, nodes, length)]


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
        mixed = scaled_dot_product_attention(k, q, z.to(k.dtype), scale=scale)
        values.append(_once(mixed, latent))
    return packing.unpack_nodes([value.transpose(1, 2) for value in values])
