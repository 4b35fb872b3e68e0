"""Attention gated by moving averages."""

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from flare_mesh.nn.graphs import Graphs
from flare_mesh.nn.mixers.self_attention import attend_to_all
from flare_mesh.nn.mixing_layer import MixingLayer
from flare_mesh.nn.moving_average import MovingAverage
from flare_mesh.nn.option_checks import check_at_least, check_heads
from flare_mesh.ops.packing import MASKED


class EMAAttention(MixingLayer):
    r"""Softmax attention gated by exponential moving averages, in O(N^2 C) (arXiv 2209.10655).

    With ``chunk_size`` L the attention is within chunks of L consecutive nodes, as in the paper's
    MEGA-chunk: the cost is O(N L C) and, of the averages, which go through all chunks,
    O(N log(N) C).

    MEGA as reduced in FLARE's comparison (arXiv 2508.12594). With x' a Linear of the
    :class:`~flare_mesh.nn.moving_average.MovingAverage` of x in both directions,

    .. math::
        q, k = \mathrm{SiLU}(W_{q,k} x'), \quad v = \mathrm{SiLU}(W_v x), \quad
        a = \mathrm{softmax}_N(q k^T / \sqrt D + \log w)\, v, \quad
        g, f = \mathrm{sigmoid}(W_{g,f} x')

        y = f \odot \mathrm{SiLU}(W_h x' + U_h (g \odot a) + b_h) + (1 - f) \odot x

    Departures: any number of heads, where the comparison's code always has one; the averages are
    exact for any length, and stop at the ends of each graph.

    The averages depend on the order of the nodes, and treat them as equally spaced: node weights
    enter the attention only. The model ``backbone`` orders the nodes along a Hilbert curve.

    Args:
        channels: Channels C.
        heads: Heads H; divides C, D = C / H.
        order: Averages of each channel.
        chunk_size: Nodes of a chunk of the attention; None for attention to all nodes of a graph.

    Shapes:
        x [N, C], output [N, C].

    Raises:
        ValueError: If the sizes do not fit together.
    """

    ORDERED = True

    def __init__(
        self, channels: int, heads: int = 8, *, order: int = 4, chunk_size: int | None = None
    ) -> None:
        super().__init__()
        check_heads(self, channels, heads)
        check_at_least(self, 1, order=order)
        if chunk_size is not None:
            check_at_least(self, 1, chunk_size=chunk_size)
        c = channels
        self.heads, self.chunk_size = heads, chunk_size
        self.average = MovingAverage(c, order)
        self.merge = nn.Linear(2 * c, c)
        self.project = nn.Linear(c, 4 * c)
        self.value = nn.Linear(c, c)
        self.hidden = nn.Linear(c, c)
        self.read = nn.Linear(c, c, bias=False)

    def reset_parameters(self) -> None:
        """Draw the moving averages; a model draws the Linear layers."""
        self.average.reset_parameters()

    def forward(self, x: Tensor, graphs: Graphs) -> Tensor:
        packing, log_weight = graphs.layout.packing, graphs.log_weight
        averages = packing.map(self._averages, x, log_weight=log_weight)
        smooth = self.merge(averages.to(x.dtype))
        query, key, inner, outer = self.project(smooth).chunk(4, dim=-1)
        query, key, value = (
            silu(t).unflatten(-1, (self.heads, -1)) for t in (query, key, self.value(x))
        )
        attended = attend_to_all(query, key, value, graphs, self.chunk_size).flatten(-2)
        hidden = silu(self.hidden(smooth) + self.read(inner.sigmoid() * attended))
        return torch.lerp(x, hidden.to(x.dtype), outer.sigmoid().to(x.dtype))

    def _averages(self, x: Tensor, bias: Tensor | None) -> Tensor:
        if bias is not None:  # padding follows the end of a graph, where the other direction begins
            x = x.masked_fill((bias == MASKED)[..., None], 0.0)
        return self.average(x)
