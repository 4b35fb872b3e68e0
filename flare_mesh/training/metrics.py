"""Errors of predicted fields."""

from collections.abc import Sequence

import torch
from torch import Tensor


def relative_l2(
    prediction: Tensor, target: Tensor, channels: Sequence[int], batch: Tensor | None = None
) -> Tensor:
    """Relative L2 error of each graph and field, |prediction - target| / |target|.

    The norm runs over the nodes of a graph and the channels of a field.

    Args:
        prediction: [N, C], in physical units.
        target: [N, C].
        channels: Channels of each of the F fields side by side in C.
        batch: Graph of each node, [N]; None for one graph.

    Returns:
        [B, F]; a graph whose target is zero everywhere has the norm of its prediction, over a
        tiny number.
    """
    if prediction.shape != target.shape or sum(channels) != target.shape[1]:
        raise ValueError(
            f"expected 'prediction' and 'target' of shape [N, {sum(channels)}] "
            f"(got {list(prediction.shape)} and {list(target.shape)})"
        )
    if batch is None:
        batch = torch.zeros(len(target), dtype=torch.long, device=target.device)
    graphs = int(batch.max()) + 1
    # Keeps the gradient of the root finite where a prediction is exact.
    tiny = torch.finfo(target.dtype).tiny

    def norms(field: Tensor) -> Tensor:
        squares = torch.stack([part.square().sum(1) for part in field.split(list(channels), 1)], 1)
        return (
            field.new_zeros(graphs, len(channels))
            .index_add(0, batch, squares)
            .clamp_min(tiny)
            .sqrt()
        )

    return norms(prediction - target) / norms(target)
