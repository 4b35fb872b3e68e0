"""The sums of slice attention: scores of slices at nodes, and means of nodes in slices."""

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from flare_mesh.ops.packing import MASKED

TEMPERATURES = (0.1, 5.0)
"""Limits of a temperature in the authors' code for grids."""
_EPSILON = 1e-5  # as in the authors' code: a slice without nodes stays finite


def slice_scores(projected: Tensor, slices: nn.Linear, temperatures: Tensor) -> Tensor:
    """Scores of the slices before the softmax; the temperature divides inputs of fewer channels.

    Args:
        projected: Projected nodes, [B, H, L, D].
        slices: Linear from D to G slices.
        temperatures: Divisors of the scores, [B, H, L, 1] or [H, 1, 1].

    Returns:
        [B, H, L, G].
    """
    inputs = torch.cat([projected, torch.ones_like(projected[..., :1])], dim=-1)
    weight = torch.cat([slices.weight, slices.bias[:, None]], dim=1)
    return linear(inputs / temperatures, weight.to(inputs.dtype))


def slice_means(shares: Tensor, values: Tensor, bias: Tensor | None) -> Tensor:
    r"""Weighted means of the nodes in each slice.

    .. math:: z_g = \frac{\sum_n w_n S_{ng} v_n}{\sum_n w_n S_{ng} + 10^{-5}}

    with weights w scaled to the mean 1 in each graph.

    Args:
        shares: Shares S of the slices at the nodes, [B, H, L, G].
        values: Values v of the nodes, [B, H, L, D].
        bias: Logarithms of the weights, :data:`~flare_mesh.ops.packing.MASKED` at padding, [B, L];
            None for equal weights without padding.

    Returns:
        [B, H, G, D].
    """
    # A last channel of ones: the sums of the shares come from the same product.
    summands = torch.cat([values, torch.ones_like(values[..., :1])], dim=-1)
    if bias is not None:
        summands = summands * _weights(bias)[:, None, :, None].to(summands.dtype)
    sums = shares.transpose(-1, -2) @ summands
    return sums[..., :-1] / (sums[..., -1:] + _EPSILON)


def _weights(bias: Tensor) -> Tensor:
    """Weights [B, L] of mean 1 in each graph, 0 at padding, from their logarithms."""
    return torch.softmax(bias, dim=-1) * (bias > MASKED).sum(-1, keepdim=True)
