"""Places of the nodes in the sequence of their graph."""

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from flare_mesh.ops.layout import Layout, graph_of_nodes


class Places(NamedTuple):
    """Graph of each node [N], and its place among the nodes of the graph from 0 [N]."""

    graph: Tensor
    place: Tensor


def places(layout: Layout, nodes: int) -> Places:
    """The places of ``nodes`` nodes; nothing is read from the device."""
    node = torch.arange(nodes, device=layout.ptr.device)
    graph = graph_of_nodes(layout, nodes)
    if layout.num_graphs <= 1:
        return Places(graph, node)
    return Places(graph, node - layout.ptr[graph])


def size_limits(layout: Layout, nodes: int) -> tuple[int, int] | None:
    """Nodes of the smallest graph and of the largest; None where they are not known.

    Compiled code does not know them.
    """
    if torch.compiler.is_compiling():
        return None
    if layout.num_graphs == 1 or layout.equal is not None:
        size = nodes // max(layout.num_graphs, 1)
        return size, size
    offsets = layout.offsets
    sizes = [stop - start for start, stop in pairwise(offsets)]
    return min(sizes, default=0), max(sizes, default=0)
