"""An order of points in which neighbours in the sequence are neighbours in space."""

import math

import torch
from torch import Tensor

from flare_mesh.ops.layout import Layout, graph_of_nodes

_BITS = 20  # of each coordinate


def curve_order(pos: Tensor, layout: Layout) -> Tensor:
    """Order the nodes of each graph along a Hilbert curve through its bounding box.

    The curve visits the cells of a grid of 2^20 cells a side (fewer above three dimensions), each
    next to the one before. The order does not depend on that of the nodes given, except for nodes
    in one cell; moving or scaling the points changes it by rounding only.

    Args:
        pos: Coordinates, [N, d].
        layout: The graphs.

    Returns:
        Numbers of the nodes in the new order, graph after graph, [N].
    """
    graph = graph_of_nodes(layout, pos.shape[0])
    index = hilbert_index(_cells(pos.detach(), graph, layout.num_graphs))
    order = index.argsort(stable=True)
    return order[graph[order].argsort(stable=True)]


def _cells(pos: Tensor, graph: Tensor, num_graphs: int) -> Tensor:
    """Cell of each node in the grid of its graph's box, a cube: integers [N, d]."""
    d = pos.shape[1]
    index = graph[:, None].expand(-1, d)
    low = pos.new_full((num_graphs, d), math.inf).scatter_reduce(0, index, pos, "amin")
    high = pos.new_full((num_graphs, d), -math.inf).scatter_reduce(0, index, pos, "amax")
    side = (high - low).amax(dim=1, keepdim=True)
    scale = 2 ** bits_of(d) / torch.where(side > 0, side, 1.0)
    cells = ((pos - low[graph]) * scale[graph]).long()
    return cells.clamp(0, 2 ** bits_of(d) - 1)


def bits_of(d: int) -> int:
    """Bits of each of d coordinates, of which the index has d times as many."""
    return max(1, min(_BITS, 62 // d))


def hilbert_index(cells: Tensor) -> Tensor:
    """Number of cells along the Hilbert curve (J. Skilling, AIP Conf. Proc. 707, 381, 2004).

    Args:
        cells: Integers below 2^:func:`bits_of` (d), [N, d].

    Returns:
        Integers [N].
    """
    x = list(cells.unbind(dim=1))
    bits = bits_of(len(x))
    for bit in range(bits - 1, 0, -1):
        low = 2**bit - 1
        for i in range(len(x)):
            up = (x[i] >> bit & 1).bool()
            swap = (x[0] ^ x[i]) & low
            first = torch.where(up, x[0] ^ low, x[0] ^ swap)
            if i:
                x[i] = torch.where(up, x[i], x[i] ^ swap)
            x[0] = first
    for i in range(1, len(x)):
        x[i] = x[i] ^ x[i - 1]
    turn = torch.zeros_like(x[0])
    for bit in range(bits - 1, 0, -1):
        turn = torch.where((x[-1] >> bit & 1).bool(), turn ^ 2**bit - 1, turn)
    index = torch.zeros_like(turn)
    for bit in range(bits - 1, -1, -1):
        for one in x:
            index = index << 1 | (one ^ turn) >> bit & 1
    return index
