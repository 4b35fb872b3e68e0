"""The pointwise network that FLARE uses for projections and feed-forward layers."""

from itertools import pairwise
from typing import TypeGuard

from torch import Tensor, nn

from flare_mesh.nn.init import init_linear
from flare_mesh.nn.option_checks import check_at_least
from flare_mesh.nn.resolver import build_activation
from flare_mesh.ops.residual_layers import residual_layers


def _is_called(module: nn.Module) -> bool:
    """Whether a module must be called, for its hooks or a ``forward`` of its own."""
    hooked = module._forward_hooks or module._forward_pre_hooks
    hooked = hooked or module._backward_hooks or module._backward_pre_hooks
    return bool(hooked) or "forward" in module.__dict__


def _is_plain_linear(layer: nn.Module) -> TypeGuard[nn.Linear]:
    return type(layer) is nn.Linear and layer.bias is not None and not _is_called(layer)


class ResidualMLP(nn.Module):
    r"""An MLP with residual hidden layers (FLARE, arXiv 2508.12594).

    .. math::
        h_0 = \sigma(W_1 x)\,[+\,x], \quad h_{j+1} = h_j + \sigma(W_j h_j), \quad
        y = W_2 h_n\,[+\,h_n]

    With ``num_layers=-1`` it is a single linear layer, plus x where both residuals apply.

    Args:
        in_channels: Input channels.
        hidden_channels: Channels of the hidden layers.
        out_channels: Output channels.
        num_layers: Number n of residual hidden layers, or -1.
        input_residual: Whether to add the bracketed x, if ``in_channels == hidden_channels``.
        output_residual: Whether to add the bracketed h, if ``hidden_channels == out_channels``.
        act: ``"gelu"`` (tanh form, the paper's), ``"exact_gelu"``, ``"silu"``, ``"relu"`` or
            ``"tanh"``.

    Shapes:
        input [..., in_channels], output [..., out_channels].
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        out_channels: int,
        num_layers: int = 2,
        *,
        input_residual: bool = False,
        output_residual: bool = False,
        act: str = "gelu",
    ) -> None:
        super().__init__()
        check_at_least(self, -1, num_layers=num_layers)
        if num_layers == -1:
            sizes = [(in_channels, out_channels)]
            self.input_residual = False
            both = input_residual and output_residual
            self.output_residual = both and in_channels == out_channels
        else:
            widths = [in_channels, *[hidden_channels] * (num_layers + 1), out_channels]
            sizes = list(pairwise(widths))
            self.input_residual = input_residual and in_channels == hidden_channels
            self.output_residual = output_residual and hidden_channels == out_channels
        self.act = build_activation(act)
        self.layers = nn.ModuleList(nn.Linear(*size) for size in sizes)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Weights from N(0, 0.02), biases zero, as in the paper's code."""
        init_linear(self.layers)

    def forward(self, x: Tensor) -> Tensor:
        parameters = self._plain_parameters()
        if parameters is not None:
            first, last = self.input_residual, self.output_residual
            return residual_layers(x, parameters, first=first, last=last)
        for i, layer in enumerate(self.layers[:-1]):
            h = self.act(layer(x))
            x = x + h if i or self.input_residual else h
        y = self.layers[-1](x)
        return x + y if self.output_residual else y

    def _plain_parameters(self) -> list[Tensor] | None:
        """Weights and biases, unless hooks or replaced modules must be called."""
        if type(self.act) is not nn.GELU or self.act.approximate != "tanh" or _is_called(self.act):
            return None
        parameters: list[Tensor] = []
        for layer in self.layers:
            if not _is_plain_linear(layer):
                return None
            parameters += [layer.weight, layer.bias]
        return parameters

    def __repr__(self) -> str:
        first, last = self.layers[0], self.layers[-1]
        sizes = f"{first.in_features}, {first.out_features}, {last.out_features}"
        return f"{type(self).__name__}({sizes}, num_layers={len(self.layers) - 2})"
