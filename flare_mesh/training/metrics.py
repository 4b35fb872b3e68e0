"""Errors of predicted fields."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from flare_mesh.training.graph_sums import graph_sums


def relative_l2(
    prediction: Tensor,
    target: Tensor,
    channels: Sequence[int],
    batch: Tensor | None = None,
    *,
    weight: Tensor | None = None,
    batch_size: int | None = None,
    group: Any = None,
) -> Tensor:
    r"""Relative L2 error of each graph and field, |prediction - target| / |target|.

    The norm is over the nodes of a graph and the channels of a field,
    :math:`|u|^2 = \sum_i w_i u_i^2`, at least in float32.

    Args:
        prediction: [N, C], in physical units.
        target: [N, C].
        channels: Channels of each of the F fields, which are concatenated in C.
        batch: Graph of each node, [N]; None for one graph.
        weight: Quadrature weight w of each node, [N]; 1 without.
        batch_size: Number B of graphs, where it is known.
        group: Process group that shares the nodes of each graph; see
            :func:`~flare_mesh.training.graph_sums.graph_sums`.

    Returns:
        [B, F]. For a target that is zero everywhere, the norm of the prediction over a tiny number.

    Raises:
        ValueError: If shapes do not fit.
    """
    check_fields(prediction, target, channels, weight)
    prediction, target = at_least_float32(prediction), at_least_float32(target)
    squares = field_sums((prediction - target).square(), channels, weight)
    squares = torch.cat([squares, field_sums(target.square(), channels, weight)], dim=1)
    error, norm = graph_sums(squares, batch, batch_size, group=group).chunk(2, dim=1)
    return root(error) / root(norm)


def check_fields(
    prediction: Tensor, target: Tensor, channels: Sequence[int], weight: Tensor | None
) -> None:
    """Check the shapes of fields and weights.

    Raises:
        ValueError: If they do not fit.
    """
    if prediction.shape != target.shape or target.shape[1:] != (sum(channels),):
        raise ValueError(
            f"expected 'prediction' and 'target' of shape [N, {sum(channels)}] "
            f"(got {list(prediction.shape)} and {list(target.shape)})"
        )
    if weight is not None and weight.shape != target.shape[:1]:
        raise ValueError(f"expected 'weight' of shape [{len(target)}] (got {list(weight.shape)})")


def at_least_float32(values: Tensor) -> Tensor:
    """Values in float32, or in float64 if they are."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def field_sums(values: Tensor, channels: Sequence[int], weight: Tensor | None = None) -> Tensor:
    """Sums [..., F] of values [..., C] over the channels of each field, times ``weight`` [...]."""
    if any(count != 1 for count in channels):
        parts = values.split(list(channels), dim=-1)
        values = torch.stack([part.sum(-1) for part in parts], dim=-1)
    return values if weight is None else weight.unsqueeze(-1) * values


def root(squares: Tensor) -> Tensor:
    """Square root with a finite gradient at zero, where a prediction is exact."""
    return squares.clamp_min(torch.finfo(squares.dtype).tiny).sqrt()
