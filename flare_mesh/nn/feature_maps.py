"""Feature maps of linear attention, by name."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from flare_mesh.nn.option_checks import check_choice

_SMALL = 1e-6


def _elu(x: Tensor) -> Tensor:
    return functional.elu(x) + 1


ELEMENTWISE: Mapping[str, Callable[[Tensor], Tensor]] = {
    "elu+1": _elu,
    "relu": functional.relu,
    "relu^2": lambda x: functional.relu(x).square(),
    "softplus": lambda x: functional.softplus(x) + _SMALL,
    "sigmoid": torch.sigmoid,
    "exp": lambda x: x.clamp(-30, 30).exp(),
    "elu_norm": lambda x: _elu(x / x.abs().amax(-1, keepdim=True).clamp(min=_SMALL)),
    "silu+0.5": lambda x: functional.silu(x) + 0.5,
    "gelu": functional.gelu,
    "identity": lambda x: x,
    "tanh": torch.tanh,
    "softsign": functional.softsign,
    "cos": torch.cos,
    "sin": torch.sin,
}
"""Maps without parameters. Those from ``"gelu"`` on take negative values."""


class _LearnedMap(nn.Module):
    """Base of maps with parameters, [..., D] to [..., P], which compute in the input's dtype."""

    def reset_parameters(self) -> None:
        """Draw the parameters that a model does not draw: all but Linear layers."""


class Hadamard(_LearnedMap):
    r"""The product :math:`(W_1 x + b_1) \odot (W_2 x + b_2)`."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return _linear(self.first, x) * _linear(self.second, x)


class SwiGLU(_LearnedMap):
    r"""The map :math:`W_3 (u \odot \mathrm{SiLU}(g)) + b_3` with (u, g) linear in x."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner, self.outer = nn.Linear(width, 2 * width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        up, gate = _linear(self.inner, x).chunk(2, dim=-1)
        return _linear(self.outer, up * functional.silu(gate))


class Hedgehog(_LearnedMap):
    r"""The features :math:`\mathrm{softmax}([2 W x, -2 W x])` (Hedgehog, arXiv 2402.04347).

    W is initially the identity, as in the paper; the factor 2 is that of FLARE's comparison.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, width, bias=False)

    def reset_parameters(self) -> None:
        nn.init.eye_(self.linear.weight)

    def forward(self, x: Tensor) -> Tensor:
        scores = 2 * _linear(self.linear, x)
        return torch.softmax(torch.cat([scores, -scores], dim=-1), dim=-1)


LEARNED: Mapping[str, type[_LearnedMap]] = {
    "hedgehog": Hedgehog,
    "hadamard": Hadamard,
    "swiglu": SwiGLU,
}
"""Maps with parameters, which keys, queries and heads share. All but ``"hedgehog"`` take negative
values."""


class FeatureMap(nn.Module):
    r"""Map queries or keys to features, by one of :data:`ELEMENTWISE` and :data:`LEARNED`.

    Args:
        name: The map.
        width: Channels D of a head.
        normalize: Whether to divide features by their norm, :math:`z / (|z| + 10^{-6})`.

    Shapes:
        x [..., D], output [..., P]; P = 2 D for ``"hedgehog"``, otherwise D.

    Raises:
        ValueError: If there is no map of this name.
    """

    def __init__(self, name: str, width: int, *, normalize: bool = False) -> None:
        super().__init__()
        check_choice(self, [*ELEMENTWISE, *LEARNED], feature_map=name)
        self.name, self.normalize = name, normalize
        self.learned = LEARNED[name](width) if name in LEARNED else None

    def reset_parameters(self) -> None:
        """Draw the parameters that a model does not draw."""
        if self.learned is not None:
            self.learned.reset_parameters()

    def forward(self, x: Tensor) -> Tensor:
        z = ELEMENTWISE[self.name](x) if self.learned is None else self.learned(x)
        if self.normalize:
            z = z / (torch.linalg.vector_norm(z, dim=-1, keepdim=True) + _SMALL)
        return z


def _linear(layer: nn.Linear, x: Tensor) -> Tensor:
    bias = None if layer.bias is None else layer.bias.to(x.dtype)
    return functional.linear(x, layer.weight.to(x.dtype), bias)
