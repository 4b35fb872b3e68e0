"""Initial weights."""

import math

import torch
from torch import nn


def init_linear(module: nn.Module) -> None:
    """Draw weights of the linear layers in a module from N(0, 0.02), with biases zero.

    Its LayerNorms and RMSNorms become the identity.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=0.02)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.LayerNorm | nn.RMSNorm):
            layer.reset_parameters()


def init_truncated(module: nn.Module) -> None:
    """Draw weights of linear layers from a truncated N(0, 0.02), with biases zero.

    The other modules within get the values of their own ``reset_parameters``.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            nn.init.trunc_normal_(layer.weight, std=0.02)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif layer is not module and hasattr(layer, "reset_parameters"):
            layer.reset_parameters()  # pyright: ignore[reportCallIssue]


def init_step_bias(bias: nn.Parameter) -> None:
    """Biases whose softplus, a time step, is log-uniform from 1e-3 to 1e-1, as in Mamba-2."""
    with torch.no_grad():
        step = nn.init.uniform_(bias, math.log(1e-3), math.log(1e-1)).exp()
        bias.copy_(step + (-(-step).expm1()).log())
