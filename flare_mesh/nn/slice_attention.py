"""Attention among slices, to which the nodes of a graph belong by learned shares."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, scaled_dot_product_attention

from flare_mesh.nn.graphs import Graphs
from flare_mesh.ops.packing import MASKED
from flare_mesh.ops.precision import wide

_EPSILON = 1e-5  # of the authors' code: keeps slices without members finite


class SliceAttention(nn.Module, ABC):
    r"""Nodes are averaged into G slices, which attend to each other and are spread again.

    In each head, with :math:`p_n` the projected input of a node and :math:`v_n` its value,

    .. math::
        S_{ng} = \mathrm{softmax}_G((W_s p_n + b_s + \gamma_n) / \tau_n), \quad
        z_g = \frac{\sum_n w_n S_{ng} v_n}{\sum_n w_n S_{ng} + 10^{-5}}, \quad
        y_n = \sum_g S_{ng}\, \mathrm{softmax}(Q K^T / \sqrt D)\, V

    where Q, K, V are linear in z. The linear projection, the slices' queries, keys and values, and
    their Linear layers are shared by the heads. The node weights w have the mean 1 in each graph:
    only their ratios matter, and 1 is the paper's average. A subclass says what are
    v, the temperature :math:`\tau` and the noise :math:`\gamma`.

    Args:
        channels: Channels C.
        heads: Heads H; divides C.
        num_slices: Slices G of each head.

    Shapes:
        x [N, C], output [N, C].

    Raises:
        ValueError: If the sizes do not fit together.
    """

    def __init__(self, channels: int, heads: int, num_slices: int) -> None:
        super().__init__()
        name = type(self).__name__
        if heads < 1 or channels % heads:
            raise ValueError(
                f"{name}: expected 'channels' divisible by 'heads' "
                f"(got {channels} channels, {heads} heads)"
            )
        if num_slices < 1:
            raise ValueError(f"{name}: expected 'num_slices' >= 1 (got {num_slices})")
        width = channels // heads
        self.heads = heads
        self.project = nn.Linear(channels, channels)
        self.slices = nn.Linear(width, num_slices)
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width, bias=False)
        self.out = nn.Linear(channels, channels)

    @abstractmethod
    def reset_parameters(self) -> None:
        """Draws what is not of a linear layer; those are drawn by the model."""

    @abstractmethod
    def node_values(self, x: Tensor, projected: Tensor) -> Tensor:
        """v [N, C] of nodes with input and projection [N, C]."""

    @abstractmethod
    def temperatures(self, projected: Tensor) -> Tensor:
        """Temperatures [H, 1, 1] or [B, H, L, 1] of packed nodes [B, H, L, D]."""

    def noise(self, scores: Tensor) -> Tensor | None:
        """Noise of the shape of the scores, or None."""
        return None

    def forward(self, x: Tensor, graphs: Graphs) -> Tensor:
        projected = self.project(x)
        values = self.node_values(x, projected)
        nodes = (t.unflatten(-1, (self.heads, -1)) for t in (projected, values))
        packing, log_weight = graphs.layout.packing, graphs.log_weight
        return self.out(packing.map(self._mix, *nodes, log_weight=log_weight).flatten(-2))

    def _mix(self, projected: Tensor, values: Tensor, bias: Tensor | None) -> Tensor:
        """[B, L, H, D] of all."""
        dtype = values.dtype
        projected, values = projected.transpose(1, 2), values.transpose(1, 2)
        temperatures = wide(self.temperatures(projected))
        # Sums over all nodes would overflow in half precision.
        with torch.autocast(values.device.type, enabled=False):
            projected, values = wide(projected), wide(values)
            shares = self._shares(projected, temperatures)
            # A last channel of ones: the sum of the shares is one more sum over the nodes.
            summands = torch.cat([values, torch.ones_like(values[..., :1])], dim=-1)
            if bias is not None:
                summands = summands * _weights(bias)[:, None, :, None].to(summands.dtype)
            sums = shares.transpose(-1, -2) @ summands
            slices = (sums[..., :-1] / (sums[..., -1:] + _EPSILON)).to(self.query.weight.dtype)
            mixed = scaled_dot_product_attention(
                self.query(slices), self.key(slices), self.value(slices)
            )
            return (shares @ wide(mixed)).transpose(1, 2).to(dtype)

    def _shares(self, projected: Tensor, temperatures: Tensor) -> Tensor:
        """S [B, H, L, G], with the temperature on the narrow side of the product."""
        inputs = torch.cat([projected, torch.ones_like(projected[..., :1])], dim=-1)
        weight = torch.cat([self.slices.weight, self.slices.bias[:, None]], dim=1)
        scores = linear(inputs / temperatures, weight.to(inputs.dtype))
        noise = self.noise(scores)
        if noise is not None:
            scores = torch.addcdiv(scores, noise, temperatures)
        return torch.softmax(scores, dim=-1)


def _weights(bias: Tensor) -> Tensor:
    """Weights [B, L] of mean 1 in each graph, 0 at padding, from their logarithms."""
    return torch.softmax(bias, dim=-1) * (bias > MASKED).sum(-1, keepdim=True)
