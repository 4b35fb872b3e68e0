"""The graphs of a flat batch, checked once for all layers."""

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from flare_mesh.ops.checks import check_mask_and_weight, ragged_layout
from flare_mesh.ops.layout import Layout, equal_layout, log_weights

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup


class Graphs(NamedTuple):
    """The graphs of a batch, as the layers need them.

    Attributes:
        layout: Offsets of the graphs.
        log_weight: Log weights of the nodes in the encode sums, [N], or None.
        group: Processes over which the nodes of each graph are spread, or None.
    """

    layout: Layout
    log_weight: Tensor | None = None
    group: "ProcessGroup | None" = None

    def chunk(self, nodes: slice) -> "Graphs":
        """The graphs' parts in a chunk of the batch's nodes."""
        start, stop, layout = nodes.start, nodes.stop, self.layout
        if layout.num_graphs == 1:
            chunk = equal_layout(1, stop - start, layout.ptr.device)
        else:
            offsets = [min(max(offset, start), stop) - start for offset in layout.offsets]
            chunk = Layout(layout.ptr.clamp(start, stop) - start, offsets=offsets)
        weight = None if self.log_weight is None else self.log_weight[nodes]
        return Graphs(chunk, weight, self.group)


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
        ptr: Offsets [B + 1], instead of ``batch`` or in agreement with it.
        weight: Positive quadrature weight of each node, [N].
        batch_size: Number B of graphs of ``batch``; by default one more than its last entry.
        group: Process group over which the nodes are spread.

    Raises:
        ValueError: If they do not fit the nodes.
    """
    if not torch.compiler.is_compiling():
        check_mask_and_weight(None, weight, tuple(nodes.shape[:1]), nodes.device)
    if ptr is not None:
        layout = ragged_layout(ptr, len(nodes), nodes.device)
        if batch is not None and not torch.compiler.is_compiling():
            _check_agreement(batch, layout, nodes)
    elif batch is not None:
        layout = _layout_of_batch(batch, nodes, batch_size)
    else:
        layout = equal_layout(1, nodes.shape[0], nodes.device)
    return Graphs(layout, log_weights(weight, None), group)


def _check_agreement(batch: Tensor, layout: Layout, nodes: Tensor) -> None:
    """Refuse offsets that are not those of the batch vector, such as after a permutation."""
    found = _layout_of_batch(batch, nodes, layout.num_graphs)
    if found.offsets != layout.offsets:
        raise ValueError(
            "expected 'ptr' to be the offsets of the graphs in 'batch' (got others, as after nodes "
            "were permuted or removed); leave out 'ptr'"
        )


def _layout_of_batch(batch: Tensor, nodes: Tensor, batch_size: int | None) -> Layout:
    """Layout of a PyG batch vector [N]; read at once, as each read is a wait for the device."""
    if batch.shape != nodes.shape[:1] or batch.is_floating_point():
        raise ValueError(
            f"expected 'batch' to be integers of shape [{len(nodes)}] "
            f"(got {batch.dtype} {list(batch.shape)})"
        )

    def offsets(graphs: int) -> Tensor:
        numbers = torch.arange(graphs + 1, dtype=batch.dtype, device=batch.device)
        return torch.searchsorted(batch, numbers)

    ptr = None if batch_size is None else offsets(batch_size)
    if torch.compiler.is_compiling():
        return Layout(offsets(int(batch[-1]) + 1 if len(batch) else 0) if ptr is None else ptr)
    if not len(batch):
        return equal_layout(batch_size or 0, 0, batch.device)
    falls = (batch[1:] < batch[:-1]).any()
    values = [falls[None], batch[:1], batch[-1:], *([] if ptr is None else [ptr])]
    falling, first, last, *host_copy = torch.cat(values).tolist()
    if falling:
        raise ValueError(
            "expected 'batch' to be sorted, graph after graph (got decreasing graph numbers); "
            "reorder the nodes, for example with torch_geometric.utils.index_sort"
        )
    if first < 0 or (batch_size is not None and last >= batch_size):
        most = "" if batch_size is None else f" to {batch_size - 1}"
        raise ValueError(f"expected graph numbers from 0{most} in 'batch' (got {first} to {last})")
    return Layout(offsets(last + 1)) if ptr is None else Layout(ptr, offsets=host_copy)
