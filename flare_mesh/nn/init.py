"""Initial weights."""

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
