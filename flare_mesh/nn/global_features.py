"""Features of a case as a whole, among those of its nodes."""

from collections.abc import Sequence

import torch
from torch import Tensor

from flare_mesh.nn.graphs import Graphs
from flare_mesh.nn.node_weights import relative_weights
from flare_mesh.ops.precision import wide


def check_global_channels(
    model: object, in_channels: int, channels: Sequence[int], option: str = "global_channels"
) -> None:
    """Refuse channels that x does not have, or that are given twice.

    Args:
        model: The model, for the message.
        in_channels: Number of channels of x.
        channels: The channels.
        option: Name of the option.

    Raises:
        ValueError: If there is one.
    """
    wrong = [one for one in channels if not 0 <= one < in_channels]
    if wrong or len({*channels}) < len(channels):
        raise ValueError(
            f"{type(model).__name__}: expected '{option}' among the {in_channels} channels of x, "
            f"counted from 0, each once (got {[*channels]})"
        )


def split_channels(
    x: Tensor | None, channels: Sequence[int]
) -> tuple[Tensor | None, Tensor | None]:
    """The other channels of x [N, C], and those that are given; None for no channel."""
    if x is None or not channels:
        return x, None
    others = [one for one in range(x.shape[1]) if one not in channels]
    own = [x[:, one] for one in others]
    return torch.stack(own, dim=1) if own else None, torch.stack([x[:, c] for c in channels], dim=1)


def graph_means(x: Tensor, graphs: Graphs) -> Tensor:
    """Means of nodes [N, C] over their graphs by weight, [B, C]; 0 for graphs without nodes."""
    dtype = x.dtype
    with torch.autocast(x.device.type, enabled=False):
        x = wide(x)
        products = graphs.layout.products(x.shape[0])
        weight, total = relative_weights(graphs, products, x.dtype)
        weight = x.new_ones(x.shape[0]) if weight is None else weight
        sums = products.sums(weight[:, None, None], x[:, None])[:, 0, 0]
        return (sums / total[:, None]).to(dtype)
