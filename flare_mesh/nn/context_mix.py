"""Attention to a context, mixed with attention to itself."""

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu

from flare_mesh.nn.option_checks import check_choice


class ContextMix(nn.Module):
    r"""Queries, keys and values of attention to a context, and the gate of GALE (arXiv 2512.20399).

    .. math::
        y = \sigma(s)\, y_\mathrm{self} + (1 - \sigma(s))\,
        \mathrm{softmax}(Q(t) K(c)^T \alpha)\, V(c)

    for tokens t and a context c; the heads share the linear maps Q, K and V. The learned scalar s
    is 0 at first. With ``mixing="concat"``, y is a Linear of both results side by side and GELU.

    Args:
        channels: Channels D of a head.
        context_channels: Channels of the context.
        mixing: ``"gate"`` or ``"concat"``.

    Shapes:
        tokens [..., D], context [..., context_channels]; both outputs of the attentions [..., D].

    Raises:
        ValueError: If ``mixing`` is unknown.
    """

    def __init__(self, channels: int, context_channels: int, mixing: str = "gate") -> None:
        super().__init__()
        check_choice(self, ("gate", "concat"), mixing=mixing)
        self.query = nn.Linear(channels, channels)
        self.key = nn.Linear(context_channels, channels)
        self.value = nn.Linear(context_channels, channels)
        self.join = nn.Linear(2 * channels, channels) if mixing == "concat" else None
        self.gate = nn.Parameter(torch.empty(())) if mixing == "gate" else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set the gate; the model draws the linear layers."""
        if self.gate is not None:
            nn.init.zeros_(self.gate)

    def mix(self, own: Tensor, cross: Tensor) -> Tensor:
        """The mixture of the results of both attentions."""
        if self.join is not None:
            return gelu(self.join(torch.cat([own, cross], dim=-1)))
        assert self.gate is not None
        share = self.gate.sigmoid().to(own.dtype)
        return share * own + (1 - share) * cross
