"""The linear attention of LinearNO."""

import torch
from torch import Tensor, nn

from flare_mesh.nn.graphs import Graphs
from flare_mesh.nn.mixing_layer import MixingLayer
from flare_mesh.nn.option_checks import check_at_least, check_heads
from flare_mesh.ops.precision import wide


class LinearNOAttention(MixingLayer):
    r"""Attention through slices without attention among them, in O(N C G) (arXiv 2511.06294).

    .. math::
        Y = \mathrm{softmax}_G(Q)\; \mathrm{softmax}_N(K + \log w)^T\, V

    in each head, then LayerNorm over the heads and a Linear; Q, K, V are linear in x, with G
    columns in Q and K. The paper derives it from Transolver's slices, with projections of their
    own for the two directions.

    Args:
        channels: Channels C.
        heads: Heads H; divides C.
        slices: Columns G of each head; C / H by default, as in the comparison's code.

    Shapes:
        x [N, C], output [N, C].

    Raises:
        ValueError: If a size does not fit.
    """

    def __init__(self, channels: int, heads: int = 8, *, slices: int | None = None) -> None:
        super().__init__()
        check_heads(self, channels, heads)
        slices = channels // heads if slices is None else slices
        check_at_least(self, 1, slices=slices)
        self.heads = heads
        self.query, self.key = (nn.Linear(channels, heads * slices) for _ in range(2))
        self.value = nn.Linear(channels, channels)
        self.norm = nn.LayerNorm(channels)
        self.out = nn.Linear(channels, channels)

    def forward(self, x: Tensor, graphs: Graphs) -> Tensor:
        products = graphs.layout.products(x.shape[0])
        query, key, value = (
            layer(x).unflatten(-1, (self.heads, -1)) for layer in (self.query, self.key, self.value)
        )
        with torch.autocast(x.device.type, enabled=False):
            means = products.averages(wide(key), wide(value), graphs.log_weight)
            shares = products.blocks(wide(query)).softmax(-1)
            mixed = products.rows(shares @ products.of_blocks(means))
        return self.out(self.norm(mixed.flatten(-2).to(value.dtype)))
