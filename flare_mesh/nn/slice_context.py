"""Slices of a graph's geometry, which all layers can attend to."""

import torch
from torch import Tensor, nn

from flare_mesh.nn.graphs import Graphs
from flare_mesh.nn.option_checks import check_at_least, check_heads
from flare_mesh.nn.slices import slice_means, slice_scores
from flare_mesh.ops.precision import wide

_TEMPERATURES = (0.5, 5.0)


def limited(temperature: Tensor) -> Tensor:
    """Temperatures within 0.5 and 5, with the gradient of the unlimited ones.

    They start at the limit 0.5. Departure: in the authors' code they have no gradient below it, so
    that one step beyond the limit would fix them.
    """
    temperature = wide(temperature)
    return temperature + (temperature.clamp(*_TEMPERATURES) - temperature).detach()


class SliceContext(nn.Module):
    r"""Average features of the nodes into slices (GeoTransolver, arXiv 2512.20399).

    In each head, with :math:`p_n` and :math:`v_n` linear in the features of a node,

    .. math::
        S_{ng} = \mathrm{softmax}_G((W_s p_n + b_s) / \min(\max(\tau, 0.5), 5)), \quad
        z_g = \frac{\sum_n w_n S_{ng} v_n}{\sum_n w_n S_{ng} + 10^{-5}}

    with node weights w scaled to the mean 1 in each graph. :math:`W_s` is common to the heads; each
    has its own temperature :math:`\tau`, initially 0.5 (see :func:`limited`). Departure: the
    authors' code adds 0.01 to the denominator, so that small meshes have other slices than large
    ones.

    Args:
        in_channels: Channels F of the features.
        channels: Channels C of the values.
        heads: Heads H; divides C.
        num_slices: Slices G of each head.

    Shapes:
        x [N, F], output [B, H, G, C / H], 0 for graphs without nodes.

    Raises:
        ValueError: If the sizes do not fit together.
    """

    def __init__(self, in_channels: int, channels: int, heads: int, num_slices: int) -> None:
        super().__init__()
        check_heads(self, channels, heads)
        check_at_least(self, 1, num_slices=num_slices)
        self.heads = heads
        self.project, self.project_value = (nn.Linear(in_channels, channels) for _ in range(2))
        self.slices = nn.Linear(channels // heads, num_slices)
        self.temperature = nn.Parameter(torch.empty(heads, 1, 1))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set the temperatures; the model draws the linear layers."""
        nn.init.constant_(self.temperature, 0.5)

    def forward(self, x: Tensor, graphs: Graphs) -> Tensor:
        packing = graphs.layout.packing
        nodes = (
            t.unflatten(-1, (self.heads, -1)) for t in (self.project(x), self.project_value(x))
        )
        slices = packing.reduce(self._slices, *nodes, log_weight=graphs.log_weight)
        return slices.expand(graphs.layout.num_graphs, *slices.shape[1:])

    def _slices(self, projected: Tensor, values: Tensor, bias: Tensor | None) -> Tensor:
        """Slices of each graph [B, H, G, D], from nodes [B, L, H, D]."""
        projected, values = wide(projected.transpose(1, 2)), wide(values.transpose(1, 2))
        # Sums over all nodes would overflow in half precision.
        with torch.autocast(values.device.type, enabled=False):
            scores = slice_scores(projected, self.slices, limited(self.temperature))
            shares = scores.softmax(dim=-1)
            return slice_means(shares, values, bias)
