"""The nearest neighbours of each node as a table of equal rows."""

import torch
from torch import Tensor


def neighbor_table(pos: Tensor, edge_index: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Neighbours along edges, the nearest first; equal distances are ranked by coordinates.

    The order of the nodes and of the edges does not matter. Nothing is read from the device.

    Args:
        pos: Coordinates [N, pos_dim].
        edge_index: Edges [2, E], from each neighbour to the node; edges from a node to itself are
            left out.
        size: Neighbours K of a node; those farther away are left out.

    Returns:
        Coordinates [N, K, pos_dim], 0 beyond the last neighbour, and distances [N, K], infinite
        there.
    """
    nodes, pos_dim = pos.shape
    source, target = edge_index
    start = pos.index_select(0, source)
    distance = (start - pos.index_select(0, target)).norm(dim=-1)
    apart = distance.detach().masked_fill(source == target, torch.inf)
    place = _place(pos.detach()).index_select(0, source)
    nearness = _rank(_rank(apart) * nodes + place)
    order = (target * target.shape[0] + nearness).argsort()
    source, target, apart = (t.index_select(0, order) for t in (source, target, apart))
    degree = target.new_zeros(nodes).scatter_add(0, target, torch.ones_like(target))
    first = degree.cumsum(0) - degree
    rank = torch.arange(target.shape[0], device=pos.device) - first.index_select(0, target)
    # A last row takes what is left out.
    kept = (rank < size) & apart.isfinite()
    slot = torch.where(kept, target * size + rank, nodes * size)
    positions = pos.new_zeros(nodes * size + 1, pos_dim)
    positions = positions.index_copy(0, slot, start.index_select(0, order))
    distances = apart.new_full((nodes * size + 1,), torch.inf).index_copy(0, slot, apart)
    return positions[:-1].unflatten(0, (nodes, size)), distances[:-1].unflatten(0, (nodes, size))


def _place(pos: Tensor) -> Tensor:
    """Rank of each node in the lexicographic order of the coordinates, [N]."""
    first, *others = pos.unbind(1)
    place = _rank(first)
    for coordinate in others:
        place = _rank(place * pos.shape[0] + _rank(coordinate))
    return place


def _rank(values: Tensor) -> Tensor:
    """Rank of each value [N], from 0 to at most N - 1; equal values have equal ranks.

    Made of a sort that need not be stable, as exporters know no other.
    """
    ordered, order = values.sort()
    before = (torch.arange(values.shape[0], device=values.device) - 1).clamp(min=0)
    rises = ordered != ordered.index_select(0, before)
    return torch.empty_like(order).index_copy(0, order, rises.cumsum(0))
