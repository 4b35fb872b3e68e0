"""Which nodes of a flat batch belong to which graph, checked once for all layers."""

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from flare_mesh.ops.checks import check_mask_and_weight, check_ptr
from flare_mesh.ops.layout import Layout, equal_layout, log_weights

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup


class Graphs(NamedTuple):
    """What the layers know of a batch's graphs.

    Attributes:
        layout: Offsets of the graphs.
        log_weight: Logarithms of the nodes' shares in the encode sums, [N], or None.
        group: Processes over which the nodes are spread, or None.
    """

    layout: Layout
    log_weight: Tensor | None = None
    group: "ProcessGroup | None" = None

    def chunk(self, piece: slice) -> "Graphs":
        """The graphs' parts in a piece of the batch's nodes."""
        start, end = piece.start, piece.stop
        ptr = self.layout.ptr.clamp(start, end) - start
        weight = None if self.log_weight is None else self.log_weight[piece]
        equal = end - start if self.layout.num_graphs == 1 else None
        return Graphs(Layout(ptr, equal), weight, self.group)


def graphs_of(
    nodes: Tensor,
    batch: Tensor | None = None,
    *,
    ptr: Tensor | None = None,
    weight: Tensor | None = None,
    batch_size: int | None = None,
    group: Any = None,
) -> Graphs:
    """Graphs of flat nodes [N, ...], from a batch vector, from offsets, or a single one.

    Args:
        nodes: Any tensor on the nodes.
        batch: Graph of each node [N], sorted.
        ptr: Offsets [B + 1]; takes the place of ``batch``.
        weight: Positive share of each node, [N].
        batch_size: Number B of graphs of ``batch``; by default up to the last that it names.
        group: Process group over which the nodes are spread.

    Raises:
        ValueError: If they do not fit the nodes.
    """
    checked = not torch.compiler.is_compiling()
    if checked:
        check_mask_and_weight(None, weight, tuple(nodes.shape[:1]), nodes.device)
        if ptr is not None:
            check_ptr(ptr, len(nodes), nodes.device)
    if ptr is not None:
        layout = Layout(ptr)
    elif batch is not None:
        layout = Layout(batch_to_ptr(batch, nodes, batch_size))
    else:
        layout = equal_layout(1, nodes.shape[0], nodes.device)
    return Graphs(layout, log_weights(weight, None), group)


def batch_to_ptr(batch: Tensor, nodes: Tensor, batch_size: int | None = None) -> Tensor:
    """Offsets [B + 1] of the graphs of a PyG batch vector [N].

    Args:
        batch: Graph of each node, sorted.
        nodes: Any tensor [N, ...] on the nodes.
        batch_size: Number B of graphs; by default up to the last that ``batch`` names.

    Raises:
        ValueError: If ``batch`` does not fit the nodes or is not sorted.
    """
    if batch.shape != nodes.shape[:1] or batch.is_floating_point():
        raise ValueError(
            f"expected 'batch' to be integers of shape [{len(nodes)}] "
            f"(got {batch.dtype} {list(batch.shape)})"
        )
    if not torch.compiler.is_compiling() and bool((batch[1:] < batch[:-1]).any()):
        raise ValueError(
            "expected 'batch' to be sorted, graph after graph (got graph numbers that fall); "
            "reorder the nodes, for example with torch_geometric.utils.index_sort"
        )
    if not torch.compiler.is_compiling() and len(batch):
        first, last = int(batch[0]), int(batch[-1])
        if first < 0 or (batch_size is not None and last >= batch_size):
            most = "" if batch_size is None else f" to {batch_size - 1}"
            raise ValueError(
                f"expected graph numbers from 0{most} in 'batch' (got {first} to {last})"
            )
    if batch_size is None:
        batch_size = int(batch[-1]) + 1 if len(batch) else 0
    return torch.searchsorted(batch, torch.arange(batch_size + 1, device=batch.device))
