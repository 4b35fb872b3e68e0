"""A soft mixture of pointwise networks."""

from typing import cast

import torch
from torch import Tensor, nn

from flare_mesh.nn.init import init_linear
from flare_mesh.nn.option_checks import check_at_least
from flare_mesh.nn.resolver import build_activation


class SoftExperts(nn.Module):
    r"""A soft mixture of two-layer networks (GNOT, arXiv 2302.14376).

    .. math::
        y = \sum_e g_e\, (V_e\, \sigma(W_e x + a_e) + b_e)

    Both layers of all experts are one matrix product each: the gates multiply the hidden channels.

    Args:
        channels: Channels C of input and output.
        hidden_channels: Channels of each expert's hidden layer.
        num_experts: Number E of experts.
        act: Activation, see :class:`ResidualMLP`.

    Shapes:
        x [N, C]; gates g [N, E]; output [N, C].

    Raises:
        ValueError: If there is no expert.
    """

    def __init__(
        self, channels: int, hidden_channels: int, num_experts: int = 3, *, act: str = "gelu"
    ) -> None:
        super().__init__()
        check_at_least(self, 1, num_experts=num_experts)
        self.num_experts = num_experts
        self.inner = nn.Linear(channels, num_experts * hidden_channels)
        self.act = build_activation(act)
        self.outer = nn.Linear(num_experts * hidden_channels, channels, bias=False)
        self.bias = nn.Parameter(torch.empty(num_experts, channels))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Weights from N(0, 0.02), biases zero."""
        init_linear(self)
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor, gates: Tensor) -> Tensor:
        hidden = cast(Tensor, self.act(self.inner(x)))
        gates = gates.to(hidden.dtype)
        gated = hidden.unflatten(-1, (self.num_experts, -1)) * gates[..., None]
        return self.outer(gated.flatten(-2)) + gates @ self.bias

    def __repr__(self) -> str:
        hidden = self.outer.in_features // self.num_experts
        sizes = f"{self.inner.in_features}, {hidden}, num_experts={self.num_experts}"
        return f"{type(self).__name__}({sizes})"
