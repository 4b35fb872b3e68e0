"""The flat layout that all backends compute in: the nodes of all graphs, one after another."""

from typing import NamedTuple

import torch
from torch import Tensor

from flare_mesh.ops.precision import wide

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
    """log(weight) [N] in float32 or float64, :data:`MASKED` at masked nodes; None without both."""
    if mask is None:
        return None if weight is None else wide(weight).log().flatten()
    if weight is None:
        log_weight = torch.zeros(mask.shape, device=mask.device)
    else:
        # A positive stand-in under the mask keeps log and its gradient free of NaN.
        log_weight = wide(weight.masked_fill(~mask, 1.0)).log()
    return log_weight.masked_fill(~mask, MASKED).flatten()


def flat(
    query: Tensor, nodes: tuple[Tensor, ...], ptr: Tensor | None, mask: Tensor | None
) -> tuple[Tensor, tuple[Tensor, ...], Layout]:
    """Queries [B, H, M, D] and node tensors [N, H, D] of flat (with ``ptr``) or dense input."""
    key = nodes[0]
    if ptr is not None:
        layout = Layout(ptr)
    else:
        layout = equal_layout(key.shape[0], key.shape[2], key.device)
        if mask is not None:
            # No weight however small would stop NaN or inf held by a padded key or value.
            nodes = tuple(t.masked_fill(~mask[:, None, :, None], 0.0) for t in nodes)
        nodes = tuple(flatten(t) for t in nodes)
    return query.expand(layout.num_graphs, *query.shape[-3:]), nodes, layout


def flatten(dense: Tensor) -> Tensor:
    """[B, H, N, D] to [B N, H, D]; free where the memory lies as [B, N, H, D]."""
    return dense.transpose(1, 2).flatten(0, 1)


def unflatten(flat: Tensor, graphs: int, nodes: int) -> Tensor:
    """[B N, H, D] to [B, H, N, D]."""
    return flat.unflatten(0, (graphs, nodes)).transpose(1, 2)
