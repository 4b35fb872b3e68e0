"""Attention among slices: soft clusters of the nodes of a graph."""

from abc import abstractmethod

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from flare_mesh.nn.graphs import Graphs
from flare_mesh.nn.mixing_layer import MixingLayer
from flare_mesh.nn.option_checks import check_at_least, check_heads
from flare_mesh.nn.slices import slice_means, slice_scores
from flare_mesh.ops.precision import wide


class SliceAttention(MixingLayer):
    r"""Average the nodes into G slices, mix the slices by attention, and spread them to the nodes.

    In each head, with :math:`p_n` the projected input of a node and :math:`v_n` its value,

    .. math::
        S_{ng} = \mathrm{softmax}_G((W_s p_n + b_s + \gamma_n) / \tau_n), \quad
        z_g = \frac{\sum_n w_n S_{ng} v_n}{\sum_n w_n S_{ng} + 10^{-5}}, \quad
        y_n = \sum_g S_{ng}\, \mathrm{softmax}(Q K^T / \sqrt D)\, V

    where Q, K, V are linear in z. The heads share :math:`W_s, b_s` and the linear maps to Q, K and
    V. The node weights w are scaled to the mean 1 in each graph: only their ratios matter, and
    equal ones give the paper's average. A subclass defines v, the temperature :math:`\tau` and the
    noise :math:`\gamma`, and may mix the slices otherwise.

    Args:
        channels: Channels C.
        heads: Heads H; divides C.
        num_slices: Slices G of each head.

    Shapes:
        x [N, C], contexts [B, ...], output [N, C].

    Raises:
        ValueError: If the sizes do not fit together.
    """

    def __init__(self, channels: int, heads: int, num_slices: int) -> None:
        super().__init__()
        check_heads(self, channels, heads)
        check_at_least(self, 1, num_slices=num_slices)
        width = channels // heads
        self.heads = heads
        self.project: nn.Module = nn.Linear(channels, channels)
        self.slices = nn.Linear(width, num_slices)
        self.query, self.key, self.value = (nn.Linear(width, width, bias=False) for _ in range(3))
        self.out = nn.Linear(channels, channels)

    @abstractmethod
    def reset_parameters(self) -> None:
        """Set the other parameters; the model draws the linear layers."""

    @abstractmethod
    def node_values(self, x: Tensor, projected: Tensor) -> Tensor:
        """Values v [N, C] of nodes, from their input and its projection [N, C]."""

    @abstractmethod
    def temperatures(self, projected: Tensor) -> Tensor:
        """Temperatures [H, 1, 1] or [B, H, L, 1], from projected nodes [B, H, L, D]."""

    def noise(self, scores: Tensor) -> Tensor | None:
        """Noise to add to the scores, or None."""
        return None

    def mix_slices(self, slices: Tensor, *contexts: Tensor) -> Tensor:
        """Mixed slices, from slices z [B, H, G, D] and the graphs' rows of ``contexts``."""
        query, key, value = self.query(slices), self.key(slices), self.value(slices)
        return scaled_dot_product_attention(query, key, value)

    def forward(self, x: Tensor, graphs: Graphs, *contexts: Tensor) -> Tensor:
        projected = self.project(x)
        values = self.node_values(x, projected)
        nodes = (t.unflatten(-1, (self.heads, -1)) for t in (projected, values))
        packing, log_weight = graphs.layout.packing, graphs.log_weight
        mixed = packing.map(self._mix, *nodes, log_weight=log_weight, graphs=contexts)
        return self.out(mixed.flatten(-2))

    def _mix(
        self, projected: Tensor, values: Tensor, bias: Tensor | None, *contexts: Tensor
    ) -> Tensor:
        """Attention within each graph, [B, L, H, D] in and out."""
        dtype = values.dtype
        projected, values = projected.transpose(1, 2), values.transpose(1, 2)
        temperatures = wide(self.temperatures(projected))
        # Sums over all nodes would overflow in half precision.
        with torch.autocast(values.device.type, enabled=False):
            projected, values = wide(projected), wide(values)
            shares = self._shares(projected, temperatures)
            slices = slice_means(shares, values, bias).to(self.query.weight.dtype)
            mixed = self.mix_slices(slices, *contexts)
            return (shares @ wide(mixed)).transpose(1, 2).to(dtype)

    def _shares(self, projected: Tensor, temperatures: Tensor) -> Tensor:
        """Shares S [B, H, L, G]."""
        scores = slice_scores(projected, self.slices, temperatures)
        noise = self.noise(scores)
        if noise is not None:
            scores = torch.addcdiv(scores, noise, temperatures)
        return torch.softmax(scores, dim=-1)
