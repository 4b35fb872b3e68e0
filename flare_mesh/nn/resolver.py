"""Activations and normalisations by name."""

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn.functional import layer_norm

from flare_mesh.ops.rms_norm import rms_norm


class LayerNorm(nn.LayerNorm):
    """torch's LayerNorm with its default eps as a constant.

    As a variable of compiled code, eps could not be read in several checkpointed calls of one norm.
    """

    def forward(self, input: Tensor) -> Tensor:
        return layer_norm(input, self.normalized_shape, self.weight, self.bias, 1e-5)


class RMSNorm(nn.RMSNorm):
    """:func:`~flare_mesh.ops.rms_norm.rms_norm`, in float32 under autocast, as LayerNorm is."""

    def forward(self, x: Tensor) -> Tensor:
        x = x if self.weight is None else x.to(self.weight.dtype)
        if len(self.normalized_shape) > 1:
            return super().forward(x)
        return rms_norm(x, self.weight, self.eps)


_ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "gelu": lambda: nn.GELU(approximate="tanh"),  # as in FLARE's code
    "exact_gelu": nn.GELU,
    "silu": nn.SiLU,
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
}
_NORMS: dict[str, type[nn.Module]] = {"layer": LayerNorm, "rms": RMSNorm}


def _choose(kind: str, name: str, choices: dict):
    if name not in choices:
        raise ValueError(f"unknown {kind} '{name}'; choose from {sorted(choices)}")
    return choices[name]


def build_activation(name: str) -> nn.Module:
    """Activation by name.

    ``"gelu"`` (tanh form), ``"exact_gelu"``, ``"silu"``, ``"relu"`` or ``"tanh"``.
    """
    return _choose("activation", name, _ACTIVATIONS)()


def build_norm(name: str, channels: int) -> nn.Module:
    """Normalisation of each node by name: ``"layer"`` (LayerNorm) or ``"rms"`` (RMSNorm)."""
    return _choose("norm", name, _NORMS)(channels)
