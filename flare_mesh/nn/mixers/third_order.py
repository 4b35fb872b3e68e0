"""Exact attention to pairs of nodes."""

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from flare_mesh.nn.graphs import Graphs
from flare_mesh.nn.mixing_layer import MixingLayer
from flare_mesh.nn.option_checks import check_at_least, check_choice, check_heads
from flare_mesh.nn.sequence import size_limits
from flare_mesh.ops.precision import wide

_SCORES = ("simplicial", "strassen")


class ThirdOrderAttention(MixingLayer):
    r"""Softmax attention of each node to all pairs of nodes of its graph, in O(N^3 C).

    .. math::
        y_i = \sum_{jk} \mathrm{softmax}_{jk}(s_{ijk} + \log w_j + \log w_k)\; v^1_j \odot v^2_k

    in each head, followed by a Linear, with the scores

    .. math::
        s_{ijk} = \frac{1}{\sqrt D} \sum_d q_{id} a_{jd} b_{kd} \quad\text{(simplicial)}, \qquad
        s_{ijk} = \frac{q_i \cdot a_j + a_j \cdot b_k + b_k \cdot q_i}{\sqrt D}
        \quad\text{(strassen)}

    of 2-simplicial (arXiv 2507.02754) and Strassen attention (arXiv 2501.19215). Both are computed
    as ordinary attention to N^2 keys, :math:`a_j \odot b_k`, or :math:`a_j + b_k` with the score
    :math:`a_j \cdot b_k` of the pair itself: exact for scores of any size, with memory for N^2 C
    numbers. For graphs of up to some hundred nodes.

    Args:
        channels: Channels C.
        heads: Heads H; divides C.
        scores: ``"simplicial"`` or ``"strassen"``.
        max_nodes: Largest number of nodes of a graph; 512 need about 1 GB a layer in training.

    Shapes:
        x [N, C], output [N, C].

    Raises:
        ValueError: If a size does not fit, the scores are unknown, or a graph is too large.
    """

    def __init__(
        self,
        channels: int,
        heads: int = 8,
        *,
        scores: str = "simplicial",
        max_nodes: int = 512,
    ) -> None:
        super().__init__()
        check_heads(self, channels, heads)
        check_choice(self, _SCORES, scores=scores)
        check_at_least(self, 1, max_nodes=max_nodes)
        self.heads, self.scores, self.max_nodes = heads, scores, max_nodes
        self.project = nn.Linear(channels, 5 * channels)
        self.out = nn.Linear(channels, channels)

    def forward(self, x: Tensor, graphs: Graphs) -> Tensor:
        self._check_nodes(x.shape[0], graphs)
        projected = self.project(x).unflatten(-1, (5, self.heads, -1)).unbind(-3)
        with torch.autocast(x.device.type, enabled=False):
            packing, log_weight = graphs.layout.packing, graphs.log_weight
            mixed = packing.map(self._attend, *map(wide, projected), log_weight=log_weight)
        return self.out(mixed.flatten(-2).to(x.dtype))

    def _check_nodes(self, nodes: int, graphs: Graphs) -> None:
        sizes = size_limits(graphs.layout, nodes)
        if sizes is not None and sizes[1] > self.max_nodes:
            raise ValueError(
                f"ThirdOrderAttention: expected graphs of at most {self.max_nodes:,} nodes, as its "
                f"memory grows with their square (got {sizes[1]:,}); raise 'max_nodes', or use "
                f"'triple' or 'strassen', which are linear in the nodes"
            )

    def _attend(
        self,
        query: Tensor,
        first: Tensor,
        second: Tensor,
        value1: Tensor,
        value2: Tensor,
        bias: Tensor | None,
    ) -> Tensor:
        """Attention within each graph, [B, L, H, D] in and out."""
        q, a, b, v1, v2 = (t.transpose(1, 2) for t in (query, first, second, value1, value2))
        scale = q.shape[-1] ** -0.5
        a, b = a[:, :, :, None], b[:, :, None]
        own = torch.zeros_like(a[..., 0] * b[..., 0])  # score of the pair itself, over the scale
        if self.scores == "strassen":
            keys, own = a + b, (a * b).sum(-1)
        else:
            keys = a * b
        if bias is not None:
            bias = bias.to(q.dtype)[:, None]
            own = own + (bias[..., :, None] + bias[..., None, :]) / scale
        # As one more channel, since attention is not fused with a mask that needs a gradient.
        keys = torch.cat([keys, own[..., None]], dim=-1).flatten(2, 3)
        q = torch.cat([q, torch.ones_like(q[..., :1])], dim=-1)
        values = (v1[:, :, :, None] * v2[:, :, None]).flatten(2, 3)
        values = torch.cat([values, torch.zeros_like(values[..., :1])], dim=-1)
        mixed = scaled_dot_product_attention(q, keys, values, scale=scale)
        return mixed[..., :-1].transpose(1, 2)
