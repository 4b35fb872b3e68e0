"""The input of a mixing layer, flat or dense, as flat nodes of graphs."""

from typing import Any

import torch
from torch import Tensor

from flare_mesh.nn.graphs import Graphs, graphs_of
from flare_mesh.ops.checks import check_mask_and_weight
from flare_mesh.ops.layout import equal_layout, log_weights


def layer_input(
    name: str,
    channels: int,
    x: Tensor,
    batch: Tensor | None,
    ptr: Tensor | None,
    mask: Tensor | None,
    weight: Tensor | None,
    batch_size: int | None,
    group: Any,
) -> tuple[Tensor, Graphs]:
    """Flat nodes [N, C], with zeros at masked rows, and their graphs.

    Takes the name and the channels of the layer, and the arguments of
    :meth:`flare_mesh.FLAREAttention.forward`.

    Raises:
        ValueError: If shapes do not fit.
    """
    if x.dim() not in (2, 3) or x.shape[-1] != channels:
        raise ValueError(
            f"{name}: expected 'x' of shape [N, {channels}] or [B, N, {channels}] "
            f"(got {list(x.shape)})"
        )
    if x.dim() == 2:
        if mask is not None:
            raise ValueError(f"{name}: 'mask' belongs to dense input [B, N, C]")
        graphs = graphs_of(x, batch, ptr=ptr, weight=weight, batch_size=batch_size, group=group)
        return x, graphs
    if batch is not None or ptr is not None:
        raise ValueError(
            f"{name}: 'batch' and 'ptr' belong to flat input [N, C]; "
            f"got them with 'x' of shape {list(x.shape)}"
        )
    if mask is not None and group is not None:
        raise ValueError(
            f"{name}: expected flat input with 'ptr' from each process of a 'group' "
            "(got a 'mask'); pass the process's own nodes without padding"
        )
    if not torch.compiler.is_compiling():
        check_mask_and_weight(mask, weight, tuple(x.shape[:2]), x.device)
    if mask is not None:
        x = x.masked_fill(~mask[..., None], 0.0)  # padding may hold NaN
    layout = equal_layout(x.shape[0], x.shape[1], x.device)
    return x.flatten(0, 1), Graphs(layout, log_weights(weight, mask), group)
