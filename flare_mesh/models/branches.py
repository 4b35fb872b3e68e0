"""The nodes of a batch in two branches: of the volume and of the surface."""

from typing import NamedTuple

import torch
from torch import Tensor

from flare_mesh.models.nodes import Nodes
from flare_mesh.nn.graphs import Graphs
from flare_mesh.ops.layout import Layout, graph_of_nodes


class Branches(NamedTuple):
    """The nodes of a batch in two parts, each with the same graphs.

    Attributes:
        volume: Nodes inside, without the channel that tells the parts apart.
        surface: Nodes of the surface, likewise.
        row: Row of each node in the two parts one after the other, [N].
    """

    volume: Nodes
    surface: Nodes
    row: Tensor

    def join(self, volume: Tensor, surface: Tensor) -> Tensor:
        """Values [N, ...] in the order of the nodes, from those of the parts."""
        return torch.cat([volume, surface]).index_select(0, self.row)


def split_branches(nodes: Nodes, channel: int) -> Branches:
    """Divide nodes by the sign of one of their features.

    Waits for the device once, for the number of nodes of each graph in each part.

    Args:
        nodes: The nodes.
        channel: Channel of ``nodes.x`` that is positive at the surface, and not in the volume.
    """
    assert nodes.x is not None
    layout, log_weight, _ = nodes.graphs
    graphs, number = layout.num_graphs, len(nodes.pos)
    on_surface = (nodes.x[:, channel] > 0).long()
    order = on_surface.argsort(stable=True)
    part = on_surface * graphs + graph_of_nodes(layout, number)
    sizes = layout.ptr.new_zeros(2 * graphs).index_add(0, part, torch.ones_like(part))
    ptr = torch.cat([layout.ptr.new_zeros(1), sizes.cumsum(0)])
    offsets: list[int] = ptr.tolist()
    features = torch.cat([nodes.x[:, :channel], nodes.x[:, channel + 1 :]], dim=1)

    def nodes_of(first: int) -> Nodes:
        start = offsets[first]
        own = [offset - start for offset in offsets[first : first + graphs + 1]]
        chosen = order[start : offsets[first + graphs]]
        weight = None if log_weight is None else log_weight[chosen]
        part = Layout(ptr[first : first + graphs + 1] - start, offsets=own)
        x = features[chosen] if features.shape[1] else None
        return Nodes(x, nodes.pos[chosen], None, Graphs(part, weight))

    return Branches(nodes_of(0), nodes_of(graphs), order.argsort())
