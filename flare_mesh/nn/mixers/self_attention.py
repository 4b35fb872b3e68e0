"""Softmax attention among all nodes of a graph."""

import torch
from torch import Tensor, nn

from flare_mesh.nn.graphs import Graphs
from flare_mesh.nn.mixing_layer import MixingLayer
from flare_mesh.nn.option_checks import check_heads
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

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        check_heads(self, channels, heads)
        self.heads = heads
        self.project = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels)

    def forward(self, x: Tensor, graphs: Graphs) -> Tensor:
        query, key, value = self.project(x).unflatten(-1, (3, self.heads, -1)).unbind(-3)
        return self.out(attend_to_all(query, key, value, graphs).flatten(-2))


def attend_to_all(query: Tensor, key: Tensor, value: Tensor, graphs: Graphs) -> Tensor:
    """Softmax attention of each node to all nodes of its graph, [N, H, D] in and out."""
    packing, log_weight = graphs.layout.packing, graphs.log_weight
    return packing.map(_attend, query, key, value, log_weight=log_weight)


def _attend(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None) -> Tensor:
    """Attention within each graph, [B, L, H, D] in and out."""
    q, k, v = (t.transpose(1, 2) for t in (query, key, value))
    # Autocast would round log weights to half precision.
    with torch.autocast(query.device.type, enabled=False):
        mixed = biased_attention(q, k, v, bias, q.shape[-1] ** -0.5)
    return mixed.transpose(1, 2).to(value.dtype)
