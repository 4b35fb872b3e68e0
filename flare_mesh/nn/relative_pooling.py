"""Messages of relative positions to supernodes."""

import torch
from torch import Tensor, nn

from flare_mesh.nn.init import init_linear
from flare_mesh.nn.positions import sincos
from flare_mesh.nn.supernode_pooling import mean_message
from flare_mesh.ops.supernodes import Supernodes


class RelativePooling(nn.Module):
    r"""Mean of messages of relative positions to supernodes (AB-UPT, arXiv 2502.09692).

    .. math::
        z_s = W_3 \Big[\sum_{n \in \mathcal N(s)} \rho_{sn}\,
        \big(W_2\, \mathrm{GELU}(W_1 (\mathrm{sincos}(p_s - p_n, |p_s - p_n|) + f_n) + b_1)
        + b_2\big),\ \mathrm{sincos}(p_s)\Big] + b_3

    with shares :math:`\rho` of the sum 1. The second linear layer is applied to the mean.

    Args:
        channels: Channels C, at least 2 (d + 1) for coordinates [N, d].

    Shapes:
        places [N, d], features [N, C] or None, output [B, S, C].
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.message = nn.Linear(channels, channels)
        self.act = nn.GELU()
        self.out = nn.Linear(channels, channels)
        self.join = nn.Linear(2 * channels, channels)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Linear weights from N(0, 0.02), biases zero."""
        init_linear(self)

    def forward(self, places: Tensor, features: Tensor | None, supernodes: Supernodes) -> Tensor:
        channels, dtype = self.out.in_features, self.out.weight.dtype
        at = places[supernodes.node]
        apart = at[:, :, None] - places[supernodes.neighbor]
        apart = torch.cat([apart, apart.norm(dim=-1, keepdim=True)], dim=-1)
        waves = sincos(apart, channels).to(dtype)
        if features is not None:
            waves = waves + features[supernodes.neighbor]
        mean = self.out(mean_message(self.act(self.message(waves)), supernodes).to(dtype))
        return self.join(torch.cat([mean, sincos(at, channels).to(dtype)], dim=-1))
