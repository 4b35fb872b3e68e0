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

    The norm runs over the nodes of a graph and the channels of a field,
    :math:`|u|^2 = \sum_i w_i u_i^2`, in single precision at least.

    Args:
        prediction: [N, C], in physical units.
        target: [N, C].
        channels: Channels of each of the F fields side by side in C.
        batch: Graph of each node, [N]; None for one graph.
        weight: Share w of each node, [N]; 1 without.
        batch_size: Number of graphs of ``batch``, where it is known.
        group: Process group over which the nodes of each graph are spread; see
            :func:`~flare_mesh.training.graph_sums.graph_sums`.

    Returns:
        [B, F]; a graph whose target is zero everywhere has the norm of its prediction, over a
        tiny number.

    Raises:
        ValueError: If shapes do not fit.
    """
    check_fields(prediction, target, channels, weight)
    prediction, target = at_least_single(prediction), at_least_single(target)
    squares = field_sums((prediction - target).square(), channels, weight)
    squares = torch.cat([squares, field_sums(target.square(), channels, weight)], dim=1)
    error, norm = graph_sums(squares, batch, batch_size, group=group).chunk(2, dim=1)
    return root(error) / root(norm)


def check_fields(
    prediction: Tensor, target: Tensor, channels: Sequence[int], weight: Tensor | None
) -> None:
    """Refuses fields and weights whose shapes do not fit each other.

    Raises:
        ValueError: If they do not.
    """
    if prediction.shape != target.shape or target.shape[1:] != (sum(channels),):
        raise ValueError(
            f"expected 'prediction' and 'target' of shape [N, {sum(channels)}] "
            f"(got {list(prediction.shape)} and {list(target.shape)})"
        )
    if weight is not None and weight.shape != target.shape[:1]:
        raise ValueError(f"expected 'weight' of shape [{len(target)}] (got {list(weight.shape)})")


def at_least_single(values: Tensor) -> Tensor:
    """Values in single precision, or in double where they are."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def field_sums(values: Tensor, channels: Sequence[int], weight: Tensor | None = None) -> Tensor:
    """Sums [..., F] of values [..., C] over the channels of each field, times ``weight`` [...]."""
    if any(count != 1 for count in channels):
        parts = values.split(list(channels), dim=-1)
        values = torch.stack([part.sum(-1) for part in parts], dim=-1)
    return values if weight is None else weight.unsqueeze(-1) * values


def root(squares: Tensor) -> Tensor:
    """Square root whose gradient stays finite at zero, where a prediction is exact."""
    return squares.clamp_min(torch.finfo(squares.dtype).tiny).sqrt()
