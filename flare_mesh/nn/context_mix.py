"""Attention to a context, mixed with attention to itself."""

import torch
from torch import Tensor, nn


class ContextMix(nn.Module):
    r"""Queries, keys and values of attention to a context, and the gate of GALE (arXiv 2512.20399).

    .. math::
        y = \sigma(s)\, y_\mathrm{self} + (1 - \sigma(s))\,
        \mathrm{softmax}(Q(t) K(c)^T \alpha)\, V(c)

    for tokens t and a context c; the heads share the linear maps Q, K and V. The learned scalar s
    is 0 at first.

    Args:
        channels: Channels D of a head.
        context_channels: Channels of the context.

    Shapes:
        tokens [..., D], context [..., context_channels]; both outputs of the attentions [..., D].
    """

    def __init__(self, channels: int, context_channels: int) -> None:
        super().__init__()
        self.query = nn.Linear(channels, channels)
        self.key = nn.Linear(context_channels, channels)
        self.value = nn.Linear(context_channels, channels)
        self.gate = nn.Parameter(torch.empty(()))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set the gate; the model draws the linear layers."""
        nn.init.zeros_(self.gate)

    def mix(self, own: Tensor, cross: Tensor) -> Tensor:
        """The mixture of the results of both attentions."""
        share = self.gate.sigmoid().to(own.dtype)
        return share * own + (1 - share) * cross
