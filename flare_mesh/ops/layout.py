"""The flat layout that all backends compute in: the nodes of all graphs, one after another."""

from typing import NamedTuple

import torch
from torch import Tensor

# Added to the encode logits of masked nodes. Finite, so that no NaN arises where nothing else is.
MASKED = -1e30


class Layout(NamedTuple):
    """Which nodes belong to which graph.

    Attributes:
        ptr: Offsets of the graphs, int64 [B + 1].
        equal: Nodes of each graph where all have as many: known without reading ``ptr``.
    """

    ptr: Tensor
    equal: int | None = None

    @property
    def num_graphs(self) -> int:
        return self.ptr.shape[0] - 1


def equal_layout(graphs: int, nodes: int, device: torch.device) -> Layout:
    """Layout of ``graphs`` graphs of ``nodes`` nodes each."""
    return Layout(torch.arange(graphs + 1, device=device) * nodes, nodes)


def log_weights(weight: Tensor | None, mask: Tensor | None) -> Tensor | None:
    """log(weight) in float32 or float64, :data:`MASKED` at masked nodes; None without both."""
    if weight is None:
        if mask is None:
            return None
        return torch.zeros(mask.shape, device=mask.device).masked_fill(~mask, MASKED)
    if mask is not None:
        # A positive stand-in under the mask keeps log and its gradient free of NaN.
        weight = weight.masked_fill(~mask, 1.0)
    weight = weight if weight.dtype == torch.float64 else weight.float()
    return weight.log() if mask is None else weight.log().masked_fill(~mask, MASKED)


def flatten(dense: Tensor) -> Tensor:
    """[B, H, N, D] to [B N, H, D]; free where the memory lies as [B, N, H, D]."""
    return dense.transpose(1, 2).flatten(0, 1)


def unflatten(flat: Tensor, graphs: int, nodes: int) -> Tensor:
    """[B N, H, D] to [B, H, N, D]."""
    return flat.unflatten(0, (graphs, nodes)).transpose(1, 2)
