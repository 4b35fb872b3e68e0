"""Graphs of a flat batch as dense tensors, for operators that take all nodes of a graph at once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

# Added to the encode scores of masked nodes. Finite, as the softmax of -inf alone is NaN.
MASKED = -1e30

# The largest graph of a group has at most this many times the nodes of the smallest: few calls
# for many small graphs, little padding for graphs of unequal size.
_SIZE_RATIO = 1.25


@dataclass
class GraphGroup:
    """Graphs of similar size, side by side in one dense tensor.

    Attributes:
        count: Number G of graphs.
        graphs: Index of the graphs in the batch, [G].
        nodes: Index of their nodes, [G, L]; a slice where nothing has to be copied.
        valid: Which rows are nodes and not padding, [G, L]; None without padding.
    """

    count: int
    graphs: Tensor | slice
    nodes: Tensor | slice
    valid: Tensor | None = None

    def pack(self, flat: Tensor) -> Tensor:
        """[N, ...] to [G, L, ...]."""
        if isinstance(self.nodes, slice):
            return flat[self.nodes].unflatten(0, (self.count, -1))
        return flat.index_select(0, self.nodes.flatten()).unflatten(0, self.nodes.shape)

    def bias(self, log_weight: Tensor | None) -> Tensor | None:
        """Log weights [G, L], :data:`MASKED` at padding; None where all would be 0."""
        if self.valid is None:
            return None if log_weight is None else self.pack(log_weight)
        if log_weight is None:
            packed = torch.zeros(self.valid.shape, device=self.valid.device)
        else:
            packed = self.pack(log_weight)
        return packed.masked_fill(~self.valid, MASKED)


class Packing:
    """The graphs of a batch in groups of similar size; at most a fifth of a tensor is padding.

    Args:
        groups: The groups; none for a batch without nodes.
        node_rows: Row of each node in the concatenated tensors of the groups, [N]; None if these
            have the order of the nodes.
        graph_rows: Position of each graph in the concatenated groups, [B], beyond the last for a
            graph without nodes; None if the groups have the order of the graphs.
    """

    def __init__(
        self, groups: list[GraphGroup], node_rows: Tensor | None, graph_rows: Tensor | None
    ) -> None:
        self.groups, self._node_rows, self._graph_rows = groups, node_rows, graph_rows

    def unpack_nodes(self, packed: Sequence[Tensor]) -> Tensor:
        """Tensors [G, L, ...] of the groups to one [N, ...]."""
        rows = _join([part.flatten(0, 1) for part in packed])
        return rows if self._node_rows is None else rows.index_select(0, self._node_rows)

    def unpack_graphs(self, packed: Sequence[Tensor], fill: float = 0.0) -> Tensor:
        """Tensors [G, ...] of the groups to one [B, ...]; ``fill`` for a graph without nodes."""
        if self._graph_rows is None:
            return _join(packed)
        empty = packed[0].new_full((1, *packed[0].shape[1:]), fill)
        return torch.cat([*packed, empty]).index_select(0, self._graph_rows)

    def map(
        self,
        function: Callable[..., Tensor],
        *nodes: Tensor,
        log_weight: Tensor | None = None,
        graphs: Sequence[Tensor] = (),
    ) -> Tensor:
        """Apply a function of whole graphs to flat tensors [N, ...], with the result [N, ...].

        The function takes the packed tensors [G, L, ...], :meth:`GraphGroup.bias`, and the rows
        [G, ...] of the tensors ``graphs`` [B, ...]. It returns [G, L, ...], of which values at
        padding are dropped.
        """
        found = self._apply(function, nodes, log_weight, graphs)
        return self.unpack_nodes(found) if self.groups else found[0][0]

    def reduce(
        self, function: Callable[..., Tensor], *nodes: Tensor, log_weight: Tensor | None = None
    ) -> Tensor:
        """Apply a function of whole graphs to flat tensors [N, ...], with the result [B, ...].

        The function takes the packed tensors [G, L, ...] and :meth:`GraphGroup.bias`, and returns
        [G, ...]. The result is 0 for a graph without nodes; without any nodes it is a single row,
        the function's value for such a graph.
        """
        found = self._apply(function, nodes, log_weight, ())
        return self.unpack_graphs(found) if self.groups else found[0]

    def _apply(
        self,
        function: Callable[..., Tensor],
        nodes: Sequence[Tensor],
        log_weight: Tensor | None,
        graphs: Sequence[Tensor],
    ) -> list[Tensor]:
        if not self.groups:  # no nodes, but the function's parameters need a gradient
            sums = (one.sum(0, keepdim=True) for one in graphs)
            return [function(*(t[None] for t in nodes), None, *sums)]
        return [
            function(
                *(group.pack(t) for t in nodes),
                group.bias(log_weight),
                *(one[group.graphs] for one in graphs),
            )
            for group in self.groups
        ]


def pack_graphs(ptr: Tensor, offsets: list[int]) -> Packing:
    """Group the graphs of a ragged batch by size; ``offsets`` is the host copy of ``ptr`` [B + 1].

    Nothing here waits for the device.
    """
    nodes, graphs = offsets[-1], len(offsets) - 1
    sizes = [stop - start for start, stop in pairwise(offsets)]
    members = _group_by_size(sizes)
    order = [graph for group in members for graph in group]
    first_row, graph_row = offsets[:-1], [len(order)] * graphs
    row = 0
    for group in members:
        for graph in group:
            first_row[graph], row = row, row + sizes[group[-1]]
    for place, graph in enumerate(order):
        graph_row[graph] = place

    def on_device(numbers: list[int]) -> Tensor:
        return torch.tensor(numbers, device=ptr.device)

    node_rows = None
    if first_row != offsets[:-1]:
        shift = on_device(first_row) - ptr[:-1]
        shift = shift.repeat_interleave(ptr.diff(), output_size=nodes)
        node_rows = torch.arange(nodes, device=ptr.device) + shift
    graph_rows = None if order == list(range(graphs)) else on_device(graph_row)
    return Packing([_group(ptr, offsets, group) for group in members], node_rows, graph_rows)


def _group_by_size(sizes: list[int]) -> list[list[int]]:
    """Numbers of the non-empty graphs, grouped by similar size, from small to large."""
    groups: list[list[int]] = []
    for graph in sorted((g for g, size in enumerate(sizes) if size), key=sizes.__getitem__):
        if groups and sizes[graph] <= _SIZE_RATIO * sizes[groups[-1][0]]:
            groups[-1].append(graph)
        else:
            groups.append([graph])
    return groups


def _group(ptr: Tensor, offsets: list[int], graphs: list[int]) -> GraphGroup:
    first, last = graphs[0], graphs[-1]
    longest = offsets[last + 1] - offsets[last]
    equal = offsets[first + 1] - offsets[first] == longest
    if equal and last - first == len(graphs) - 1:  # consecutive graphs, as the sort is stable
        nodes = slice(offsets[first], offsets[last + 1])
        return GraphGroup(len(graphs), slice(first, last + 1), nodes)
    index = torch.tensor(graphs, device=ptr.device)
    start, size = ptr[index], ptr.diff()[index]
    row = torch.arange(longest, device=ptr.device)
    valid = row < size[:, None]
    # Padding repeats the graph's first node; `valid` masks it.
    nodes = start[:, None] + row * valid
    return GraphGroup(len(graphs), index, nodes, None if equal else valid)


def _join(parts: Sequence[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(list(parts))
