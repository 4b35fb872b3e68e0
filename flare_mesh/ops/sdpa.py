"""The two halves of the mixer as fused scaled-dot-product attention calls on groups of graphs."""

from itertools import pairwise

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from torch.utils.checkpoint import checkpoint

from flare_mesh.ops.layout import MASKED, Layout
from flare_mesh.ops.precision import wide

# Graphs share a padded call as long as the largest has at most this many times the nodes of the
# smallest: fewer calls for many small graphs, bounded waste for unequal ones.
_GROUP_RATIO = 1.25

_LSE_CHUNK = 8192  # nodes whose scores are in memory at a time where log-sum-exps are asked for


def group_by_size(sizes: list[int]) -> list[list[int]]:
    """Indices of the non-empty graphs, gathered into groups of similar size."""
    groups: list[list[int]] = []
    for graph in sorted((g for g, size in enumerate(sizes) if size), key=sizes.__getitem__):
        if groups and sizes[graph] <= _GROUP_RATIO * sizes[groups[-1][0]]:
            groups[-1].append(graph)
        else:
            groups.append([graph])
    return groups


class _Group:
    """Graphs of similar size, packed into one dense call."""

    def __init__(self, graphs: list[int] | slice, nodes: Tensor | slice, valid: Tensor | None):
        self.graphs = graphs
        self.nodes = nodes  # slice, or indices [G, L]
        self.valid = valid  # [G, L], None where there is no padding

    def pack(self, flat: Tensor, graphs: int) -> Tensor:
        """[N, ...] to [G, L, ...]."""
        packed = flat[self.nodes]
        return packed.unflatten(0, (graphs, -1)) if isinstance(self.nodes, slice) else packed

    def unpack(self, packed: Tensor) -> Tensor:
        """[G, L, ...] to the rows of the group's nodes."""
        return packed.flatten(0, 1) if self.valid is None else packed[self.valid]


def _groups(layout: Layout) -> list[_Group]:
    if layout.equal and layout.num_graphs:  # a batch without nodes has no groups
        return [_Group(slice(None), slice(None), None)]
    ptr, bounds = layout.ptr, layout.ptr.tolist()
    sizes = [end - start for start, end in pairwise(bounds)]
    groups = []
    for members in group_by_size(sizes):
        if len(members) == 1:
            (graph,) = members
            groups.append(_Group(members, slice(bounds[graph], bounds[graph + 1]), None))
            continue
        starts = ptr[members]
        counts = ptr[[graph + 1 for graph in members]] - starts
        offsets = torch.arange(sizes[members[-1]], device=ptr.device)
        valid = offsets < counts[:, None]  # [G, L]
        # Padded slots point at the graph's first node: in range, and masked afterwards.
        nodes = starts[:, None] + offsets * valid
        padded = sizes[members[0]] != sizes[members[-1]]
        groups.append(_Group(members, nodes, valid if padded else None))
    return groups


def _in_order(groups: list[_Group], parts: list[Tensor], like: Tensor) -> Tensor:
    """The groups' rows, put back into the order of the nodes."""
    if len(groups) == 1 and isinstance(groups[0].nodes, slice):
        return parts[0]
    every = torch.arange(len(like), device=like.device)
    order = torch.cat([g.unpack(g.pack(every, len(p))) for g, p in zip(groups, parts, strict=True)])
    inverse = torch.empty_like(order)
    inverse[order] = every
    return torch.cat(parts)[inverse]


def _encode_group(
    query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, scale: float
) -> Tensor:
    attn_mask = None
    if bias is not None:
        # The mask must have the dtype of the query: half precision would spoil log weights.
        query, key, value = wide(query), wide(key), wide(value)
        attn_mask = bias.to(key.dtype)[:, None, None, :].expand(-1, 1, query.shape[-2], -1)
    return scaled_dot_product_attention(query, key, value, attn_mask=attn_mask, scale=scale)


def gather(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    layout: Layout,
    log_weight: Tensor | None,
    scale: float,
) -> Tensor:
    """The latents of :func:`encode`, in one pass."""
    groups = _groups(layout)
    latent = None
    for group in groups:
        q = query[group.graphs]
        k, v = (group.pack(t, len(q)).transpose(1, 2) for t in (key, value))
        bias = None if log_weight is None else group.pack(log_weight, len(q))
        if group.valid is not None:
            bias = torch.zeros(group.valid.shape, device=key.device) if bias is None else bias
            bias = bias.masked_fill(~group.valid, MASKED)
        z = wide(_encode_group(q, k, v, bias, scale))
        if isinstance(group.graphs, slice):
            return z
        if latent is None:
            latent = z.new_zeros(query.shape)
        latent = latent.index_copy(0, torch.tensor(group.graphs, device=z.device), z)
    if latent is None:  # no graph has a node
        nothing = wide(query) * 0
        latent = nothing + (key.sum() + value.sum()).to(nothing.dtype)
    return latent


def _log_sum_exp(
    query: Tensor, key: Tensor, layout: Layout, log_weight: Tensor | None, scale: float
) -> Tensor:
    """Scores of a chunk of nodes at a time, computed anew for the gradient."""
    query = wide(query)

    def chunk_sum(q: Tensor, k: Tensor, bias: Tensor | None) -> Tensor:
        scores = scale * q @ k.to(q.dtype).permute(1, 2, 0)
        return torch.logsumexp(scores if bias is None else scores + bias.to(q.dtype), dim=-1)

    rows = []
    for graph, (start, end) in enumerate(pairwise(layout.ptr.tolist())):
        parts = [query.new_full(query.shape[1:3], -torch.inf)]
        for a in range(start, end, _LSE_CHUNK):
            nodes = slice(a, min(a + _LSE_CHUNK, end))
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
    """As the reference; the log-sum-exps, which SDPA keeps to itself, cost another pass."""
    latent = gather(query, key, value, layout, log_weight, scale)
    return latent, _log_sum_exp(query, key, layout, log_weight, scale)


def decode(query: Tensor, key: Tensor, latent: Tensor, layout: Layout, scale: float) -> Tensor:
    """As the reference."""
    groups, parts = _groups(layout), []
    if not groups:  # no nodes, but gradients must pass: of a group's processes, all take part
        return key + (query.sum() + latent.sum()).to(key.dtype)
    for group in groups:
        q, z = query[group.graphs], latent[group.graphs]
        k = group.pack(key, len(q)).transpose(1, 2)
        y = scaled_dot_product_attention(k, q, z.to(k.dtype), scale=scale)
        parts.append(group.unpack(y.transpose(1, 2)))
    return _in_order(groups, parts, key)
