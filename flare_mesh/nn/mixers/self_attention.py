"""Softmax attention among all nodes of a graph."""

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from flare_mesh.nn.graphs import Graphs
from flare_mesh.nn.mixing_layer import MixingLayer
from flare_mesh.nn.option_checks import check_heads
from flare_mesh.nn.positions import Rotation
from flare_mesh.ops.packing import MASKED
from flare_mesh.ops.precision import sum_dtype
from flare_mesh.ops.sdpa import biased_attention


class SelfAttention(MixingLayer):
    r"""Attention of each node to all nodes of its graph, at cost O(N^2 C) (arXiv 1706.03762).

    .. math::
        Y = \mathrm{softmax}_N(Q K^T / \sqrt D + \log w)\, V

    in each head, followed by a Linear; Q, K, V are linear in x. The node weights w make the sum
    over the nodes a quadrature.

    Shapes:
        x [N, C], output [N, C].

    Raises:
        ValueError: If ``heads`` does not divide ``channels``.
    """

    ROTARY = True

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        check_heads(self, channels, heads)
        self.heads = heads
        self.project = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels)

    def forward(self, x: Tensor, graphs: Graphs, rotation: Rotation | None = None) -> Tensor:
        query, key, value = self.project(x).unflatten(-1, (3, self.heads, -1)).unbind(-3)
        if rotation is not None:
            query, key = rotation(query), rotation(key)
        return self.out(attend_to_all(query, key, value, graphs).flatten(-2))


def attend_to_all(
    query: Tensor, key: Tensor, value: Tensor, graphs: Graphs, chunk_size: int | None = None
) -> Tensor:
    """Softmax attention of each node to all nodes of its graph, or of its chunk of the graph.

    Chunks have ``chunk_size`` consecutive nodes, the last one of a graph those that are left.

    Shapes: [N, H, D] in and out.
    """
    packing, log_weight = graphs.layout.packing, graphs.log_weight
    attend = _attend if chunk_size is None else partial(_attend_in_chunks, size=chunk_size)
    return packing.map(attend, query, key, value, log_weight=log_weight)


def _attend_in_chunks(
    query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, *, size: int
) -> Tensor:
    """Attention within each chunk of each graph, [B, L, H, D] in and out."""
    graphs, length = query.shape[:2]
    count = -(-length // size)
    missing = count * size - length

    def chunks(t: Tensor, fill: float = 0.0) -> Tensor:
        filled = pad(t, (0, 0) * (t.dim() - 2) + (0, missing), value=fill)
        return filled.unflatten(1, (count, size)).flatten(0, 1)

    if bias is None:
        bias = query.new_zeros(graphs, length, dtype=sum_dtype(query))
    mixed = _attend(chunks(query), chunks(key), chunks(value), chunks(bias, MASKED))
    return mixed.unflatten(0, (graphs, count)).flatten(1, 2)[:, :length]


def _attend(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None) -> Tensor:
    """Attention within each graph, [B, L, H, D] in and out."""
    q, k, v = (t.transpose(1, 2) for t in (query, key, value))
    # Autocast would round log weights to half precision.
    with torch.autocast(query.device.type, enabled=False):
        mixed = biased_attention(q, k, v, bias, q.shape[-1] ** -0.5)
    return mixed.transpose(1, 2).to(value.dtype)
