"""Messages of nodes to supernodes."""

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from flare_mesh.ops.precision import wide
from flare_mesh.ops.supernodes import Supernodes


class SupernodePooling(nn.Module):
    r"""Mean of the messages of a supernode's neighbours (UPT, arXiv 2402.12365).

    .. math::
        z_s = \sum_{n \in \mathcal N(s)} \rho_{sn}\,
        W_2\, \mathrm{GELU}(W_1 [h_n, h_s] + b_1) + b_2

    with shares :math:`\rho` of the sum 1. The two linear layers are applied to nodes and to
    supernodes instead of edges, which is the same function.

    Args:
        channels: Channels C.

    Shapes:
        nodes [N, C], output [B, S, C].
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.message = nn.Linear(2 * channels, channels)
        self.act = nn.GELU()
        self.out = nn.Linear(channels, channels)

    def reset_parameters(self) -> None:
        """torch's default initialisation, as in the authors' code."""
        self.message.reset_parameters()
        self.out.reset_parameters()

    def forward(self, nodes: Tensor, supernodes: Supernodes) -> Tensor:
        of_source, of_target = self.message.weight.chunk(2, dim=1)
        source = linear(nodes, of_source)
        target = linear(nodes[supernodes.node], of_target, self.message.bias)
        messages = self.act(source[supernodes.neighbor] + target[:, :, None])
        return self.out(mean_message(messages, supernodes))


def mean_message(messages: Tensor, supernodes: Supernodes) -> Tensor:
    """Weighted mean over the neighbours, [B, S, K, C] to [B, S, C]; in float32 at least."""
    with torch.autocast(messages.device.type, enabled=False):
        messages = wide(messages)
        share = supernodes.share.to(messages.dtype)[..., None, :]
        return (share @ messages).squeeze(-2)
