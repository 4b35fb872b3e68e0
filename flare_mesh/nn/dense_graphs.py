"""Nodes in a dense tensor as flat nodes of graphs."""

from typing import Any

import torch
from torch import Tensor

from flare_mesh.nn.graphs import Graphs
from flare_mesh.ops import checks
from flare_mesh.ops.layout import equal_layout, log_weights


def dense_graphs(
    x: Tensor, mask: Tensor | None = None, weight: Tensor | None = None, group: Any = None
) -> tuple[Tensor, Graphs]:
    """Flat nodes [B * N, C], with zeros at masked rows, and the graphs of dense nodes [B, N, C].

    Args:
        x: Nodes [B, N, C]; masked rows may hold NaN.
        mask: Valid nodes [B, N].
        weight: Positive quadrature weights [B, N].
        group: As in :func:`~flare_mesh.nn.graphs.graphs_of`.

    Raises:
        ValueError: If mask or weight do not fit the nodes.
    """
    if not torch.compiler.is_compiling():
        checks.check_mask_and_weight(mask, weight, tuple(x.shape[:2]), x.device)
    if mask is not None:
        x = x.masked_fill(~mask[..., None], 0.0)
    layout = equal_layout(x.shape[0], x.shape[1], x.device)
    return x.flatten(0, 1), Graphs(layout, log_weights(weight, mask), group)
