"""The mixing layer of LaMO."""

from functools import partial

import torch
from torch import Tensor, nn

from flare_mesh.nn.graphs import Graphs
from flare_mesh.nn.slices import slice_means
from flare_mesh.nn.slicing import Slicing
from flare_mesh.ops.precision import wide


class LaMOAttention(nn.Module):
    r"""Average nodes into slices, mix the slices as a sequence, and spread them (arXiv 2505.19105).

    With the shares S and the values v of :class:`~flare_mesh.nn.slicing.Slicing`, and the slices z
    of all heads side by side, [G, C],

    .. math::
        z_g = \frac{\sum_n w_n S_{ng} v_n}{\sum_n w_n S_{ng} + 10^{-5}}, \quad
        y_n = W \sum_g S_{ng}\, \mathrm{Mixer}(z)_g + b

    The mixer depends on the order of the slices, which is learned, and not on that of the nodes.
    The node weights w are scaled to the mean 1 in each graph. Costs O(N C (C + G)).

    Args:
        channels: Channels C.
        mixer: Mixes sequences [B, G, C].
        slicing: Projections to slices; None where :meth:`forward` is given those of all layers.

    Shapes:
        x [N, C], output [N, C].
    """

    def __init__(self, channels: int, mixer: nn.Module, slicing: Slicing | None = None) -> None:
        super().__init__()
        self.slicing = slicing
        self.mixer = mixer
        self.out = nn.Linear(channels, channels)

    def forward(self, x: Tensor, graphs: Graphs, slicing: Slicing | None = None) -> Tensor:
        slicing = self.slicing if slicing is None else slicing
        assert slicing is not None
        packing, mix = graphs.layout.packing, partial(self._mix, slicing)
        return self.out(packing.map(mix, *slicing(x), log_weight=graphs.log_weight).flatten(-2))

    def _mix(
        self, slicing: Slicing, projected: Tensor, values: Tensor, bias: Tensor | None
    ) -> Tensor:
        """Mixing within each graph, [B, L, H, D] in and out."""
        dtype = values.dtype
        projected, values = projected.transpose(1, 2), values.transpose(1, 2)
        # Sums over all nodes would overflow in half precision; slices are few.
        with torch.autocast(values.device.type, enabled=False):
            shares = slicing.shares(wide(projected))
            slices = slice_means(shares, wide(values), bias)
            mixed = self.mixer(slices.transpose(1, 2).flatten(-2).to(self.out.weight.dtype))
            mixed = mixed.unflatten(-1, (slicing.heads, -1)).transpose(1, 2)
            return (shares @ wide(mixed)).transpose(1, 2).to(dtype)
