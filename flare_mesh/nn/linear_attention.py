"""The normalised linear attention of GNOT."""

import torch
from torch import Tensor, nn

from flare_mesh.nn.init import init_linear
from flare_mesh.nn.option_checks import check_heads
from flare_mesh.ops.graph_products import GraphProducts
from flare_mesh.ops.precision import wide


class NormalizedLinearAttention(nn.Module):
    r"""Attention without scores between pairs of nodes, in O(N C D) (GNOT, arXiv 2302.14376).

    .. math::
        \tilde q = \mathrm{softmax}_D(W_q x), \quad \tilde k = \mathrm{softmax}_D(W_k y), \qquad
        z_i = \tilde q_i + \frac{\sum_j w_j (\tilde q_i \cdot \tilde k_j)\, v_j}
                                {\sum_j w_j\, \tilde q_i \cdot \tilde k_j}

    in each head, followed by a Linear; the sums are over the nodes j of the graph of node i.

    Shapes:
        x, y [N, C]; weight w [N], or None for 1; output [N, C].

    Raises:
        ValueError: If ``channels`` is not divisible by ``heads``.
    """

    def __init__(self, channels: int, heads: int = 8) -> None:
        super().__init__()
        check_heads(self, channels, heads)
        self.heads = heads
        self.query, self.key, self.value, self.out = (
            nn.Linear(channels, channels) for _ in range(4)
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Weights from N(0, 0.02), biases zero."""
        init_linear(self)

    def forward(
        self, x: Tensor, y: Tensor, products: GraphProducts, weight: Tensor | None = None
    ) -> Tensor:
        query, key, value = (
            layer(t).unflatten(-1, (self.heads, -1))
            for layer, t in ((self.query, x), (self.key, y), (self.value, y))
        )
        # Sums over many nodes leave the range of half precision.
        with torch.autocast(x.device.type, enabled=False):
            q, k = wide(query).softmax(-1), wide(key).softmax(-1)
            if weight is not None:
                k = k * weight.to(k.dtype)[:, None, None]
            v = wide(value)
            sums = products.sums(k, torch.cat([v, torch.ones_like(v[..., :1])], dim=-1))
            read = products.multiply(q, sums)
            mixed = q + read[..., :-1] / read[..., -1:]
        return self.out(mixed.flatten(-2).to(value.dtype))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.out.in_features}, heads={self.heads})"
