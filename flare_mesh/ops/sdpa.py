"""The FLARE mixer as two fused scaled-dot-product attention calls a graph or group of graphs."""

from itertools import pairwise

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

# Graphs share a padded call as long as the largest has at most this many times the nodes of the
# smallest: fewer calls for many small graphs, bounded waste for unequal ones.
_GROUP_RATIO = 1.25


def _mix(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, scale: float) -> Tensor:
    """query [H, M, D] or [B, H, M, D]; key, value [B, H, N, D]; bias [B, N] of the encode."""
    query = query.expand(key.shape[0], *query.shape[-3:])
    attn_mask = None
    if bias is not None:
        attn_mask = bias[:, None, None, :].expand(-1, 1, query.shape[-2], -1)
    latent = scaled_dot_product_attention(query, key, value, attn_mask=attn_mask, scale=scale)
    return scaled_dot_product_attention(key, query, latent, scale=scale)


def _encode_bias(mask: Tensor | None, weight: Tensor | None, dtype: torch.dtype) -> Tensor | None:
    """log(weight) with -inf at masked nodes: what is added to the encode logits."""
    if weight is None:
        if mask is None:
            return None
        return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill(
            ~mask, -torch.inf
        )
    if mask is not None:
        # A finite stand-in under the mask keeps log and its gradient free of NaN.
        weight = weight.masked_fill(~mask, 1.0)
    bias = weight.log().to(dtype)
    return bias if mask is None else bias.masked_fill(~mask, -torch.inf)


def _mix_dense(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    weight: Tensor | None,
    scale: float,
) -> Tensor:
    if mask is None:
        return _mix(query, key, value, _encode_bias(None, weight, value.dtype), scale)
    padding = ~mask[:, None, :, None]
    # -inf in the logits does not stop NaN or inf held by a padded key or value.
    key, value = key.masked_fill(padding, 0.0), value.masked_fill(padding, 0.0)
    mixed = _mix(query, key, value, _encode_bias(mask, weight, value.dtype), scale)
    return mixed.masked_fill(padding, 0.0)


def group_by_size(sizes: list[int]) -> list[list[int]]:
    """Indices of the non-empty graphs, gathered into groups of similar size."""
    groups: list[list[int]] = []
    for graph in sorted((g for g, size in enumerate(sizes) if size), key=sizes.__getitem__):
        if groups and sizes[graph] <= _GROUP_RATIO * sizes[groups[-1][0]]:
            groups[-1].append(graph)
        else:
            groups.append([graph])
    return groups


def _mix_ragged(
    query: Tensor, key: Tensor, value: Tensor, ptr: Tensor, weight: Tensor | None, scale: float
) -> Tensor:
    bounds = ptr.tolist()
    sizes = [end - start for start, end in pairwise(bounds)]
    groups = group_by_size(sizes)
    if not groups:
        return value.clone()  # no nodes, but a gradient may pass

    mixed, nodes = [], []
    for group in groups:
        group_query = query if query.dim() == 3 else query[group]
        mask = None
        if len(group) == 1:
            index: Tensor | slice = slice(bounds[group[0]], bounds[group[0] + 1])
            nodes.append(torch.arange(index.start, index.stop, device=value.device))
            k, v = key[index][None], value[index][None]
            w = None if weight is None else weight[index][None]
        else:
            starts = ptr[group].to(value.device)
            counts = ptr[[graph + 1 for graph in group]].to(value.device) - starts
            offsets = torch.arange(max(sizes[graph] for graph in group), device=value.device)
            valid = offsets < counts[:, None]  # [G, L]
            # Padded slots point at the graph's first node: in range, and masked afterwards.
            index = starts[:, None] + offsets * valid
            nodes.append(index[valid])
            mask = None if sizes[group[0]] == sizes[group[-1]] else valid
            k, v = key[index], value[index]
            w = None if weight is None else weight[index]
        out = _mix_dense(group_query, k.transpose(1, 2), v.transpose(1, 2), mask, w, scale)
        out = out.transpose(1, 2)
        mixed.append(out.flatten(0, 1) if mask is None else out[mask])

    if len(groups) == 1 and groups[0] == sorted(groups[0]):
        return mixed[0]
    order = torch.cat(nodes)
    inverse = torch.empty_like(order)
    inverse[order] = torch.arange(len(order), device=order.device)
    return torch.cat(mixed)[inverse]


def flare_attention_sdpa(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    ptr: Tensor | None = None,
    mask: Tensor | None = None,
    weight: Tensor | None = None,
    scale: float = 1.0,
) -> Tensor:
    """Two fused calls; arguments as in :func:`flare_mesh.flare_attention`.

    In a ragged batch, graphs of similar size share a padded and masked call; a graph whose size
    stands alone gets its own, without copies.
    """
    if ptr is None:
        return _mix_dense(query, key, value, mask, weight, scale)
    return _mix_ragged(query, key, value, ptr, weight, scale)
