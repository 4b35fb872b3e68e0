"""Supernodes: a sample of the nodes of each graph, with the neighbours of each one."""

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from flare_mesh.ops.layout import Layout, graph_of_nodes
from flare_mesh.ops.packing import MASKED, GraphGroup
from flare_mesh.ops.precision import wide
from flare_mesh.ops.space_curve import curve_order

_LEVELS = 2**16  # squared distances that differ by less than 1 / _LEVELS are equal
_CHUNK = 2**23  # distances in memory at a time


class Supernodes(NamedTuple):
    """Supernodes of B graphs, S of each; fewer, and then padding, where a graph has fewer nodes.

    Attributes:
        node: Number of each supernode's node, [B, S].
        log_measure: Logarithm of the weight of the nodes that a supernode stands for, up to a
            constant of the graph; :data:`~flare_mesh.ops.packing.MASKED` for padding, [B, S].
        neighbor: Numbers of the neighbours of each supernode, itself among them, [B, S, K].
        share: Weights of the neighbours, with the sum 1; 0 for padding, [B, S, K].
    """

    node: Tensor
    log_measure: Tensor
    neighbor: Tensor
    share: Tensor


class _Distinct(NamedTuple):
    """The distinct nodes of each graph along a curve, in its first rows; no measure beyond."""

    graph: Tensor  # of each row, [N]
    node: Tensor  # number of the row's node, or of one of several copies of it, [N]
    measure: Tensor  # weight of all copies, [N]
    counts: Tensor  # distinct nodes of each graph, [B]


def find_supernodes(
    pos: Tensor,
    features: Tensor,
    layout: Layout,
    log_weight: Tensor | None = None,
    *,
    num_supernodes: int,
    max_neighbors: int,
    radius: float | None = None,
) -> Supernodes:
    r"""Sample nodes of each graph evenly along a space-filling curve, and search their neighbours.

    The d distinct nodes of a graph, ordered by :func:`~flare_mesh.ops.space_curve.curve_order`,
    are divided into min(S, d) runs of equal length, up to one node. The middle one of each is a
    supernode, and the weight of the run its measure. So the supernodes have the density of the
    mesh, as a random sample has; but they depend neither on chance nor on the order of the nodes.
    Nodes with equal coordinates and features are copies of one, with the sum of their weights.

    Neighbours are the nearest distinct nodes. Of those at equal distance, up to rounding, the
    first along the curve are taken. The cost is O(N log N) for the curve and O(S N) for the
    distances. Nothing here waits for the device, apart from the offsets of the graphs.

    Args:
        pos: Coordinates [N, d].
        features: What distinguishes two nodes, coordinates among it, [N, C].
        layout: The graphs.
        log_weight: Log weights of the nodes [N], or None for equal weights.
        num_supernodes: Largest number S of a graph's supernodes.
        max_neighbors: Largest number K of a supernode's neighbours, itself included.
        radius: Largest distance of a neighbour in units of ``pos``, or None for any.
    """
    pos, features = wide(pos.detach()), features.detach()
    distinct = _distinct_nodes(pos, features, layout, log_weight)
    count = distinct.counts
    if not torch.compiler.is_compiling():  # compiled code has one shape for meshes of all sizes
        longest = max(b - a for a, b in zip(layout.offsets, layout.offsets[1:], strict=False))
        num_supernodes = min(num_supernodes, longest)
        max_neighbors = min(max_neighbors, longest)
    number = torch.arange(num_supernodes, device=pos.device)
    runs = count.clamp(max=num_supernodes)
    present = number < runs[:, None]
    middle = (2 * number + 1) * count[:, None] // (2 * runs[:, None]).clamp(min=1)
    row = layout.ptr[:-1, None] + middle.masked_fill(~present, 0)
    node = distinct.node[torch.minimum(row, layout.ptr[-1] - 1)]
    log_measure = _log_measure(distinct, layout, runs, present)
    neighbor, share = _neighbors(pos, distinct, node, layout, max_neighbors, radius)
    return Supernodes(node, log_measure, neighbor, share)


def _distinct_nodes(
    pos: Tensor, features: Tensor, layout: Layout, log_weight: Tensor | None
) -> _Distinct:
    nodes, graph = pos.shape[0], graph_of_nodes(layout, pos.shape[0])
    # Nodes in one cell of the curve are ordered by a number that depends on all their features.
    numbers = torch.arange(1, features.shape[1] + 1, device=pos.device, dtype=pos.dtype)
    order = (wide(features) * numbers.cos()).sum(dim=1).argsort(stable=True)
    order = order[graph[order].argsort(stable=True)]
    order = order[curve_order(pos[order], layout)]

    rows, start = features[order], layout.ptr[graph]
    place = torch.arange(nodes, device=pos.device) - start
    first = (rows != rows.roll(1, 0)).any(dim=1) | (place == 0)
    count = layout.ptr.new_zeros(layout.num_graphs).index_add(0, graph, first.long())
    before = (count.cumsum(0) - count)[graph]
    row = start + first.cumsum(0) - 1 - before
    target = torch.where(first, row, layout.ptr[-1])  # a spare row takes the copies
    node = order.new_zeros(nodes + 1).scatter(0, target, order)[:nodes]
    if log_weight is None:
        weight = pos.new_ones(nodes)
    else:
        largest = log_weight.new_full((layout.num_graphs,), -math.inf)
        largest = largest.scatter_reduce(0, graph, log_weight.detach(), "amax")
        weight = (log_weight - largest[graph]).exp()
    measure = weight.new_zeros(nodes).index_add(0, row, weight[order])
    return _Distinct(graph, node, measure, count)


def _log_measure(distinct: _Distinct, layout: Layout, runs: Tensor, present: Tensor) -> Tensor:
    graph, size = distinct.graph, present.shape[1]
    place = torch.arange(graph.shape[0], device=graph.device) - layout.ptr[graph]
    run = (2 * place + 1) * runs[graph] // (2 * distinct.counts[graph])
    index = graph * size + run.clamp(max=size - 1)
    measure = distinct.measure.new_zeros(present.numel()).index_add(0, index, distinct.measure)
    least = torch.finfo(measure.dtype).tiny
    return measure.view(present.shape).clamp(min=least).log().masked_fill(~present, MASKED)


def _neighbors(
    pos: Tensor, distinct: _Distinct, node: Tensor, layout: Layout, k: int, radius: float | None
) -> tuple[Tensor, Tensor]:
    """Numbers and shares of the neighbours of each supernode, [B, S, K] each."""
    numbers, shares = [], []
    for group in layout.packing.groups:
        number, share = _neighbors_in_group(pos, distinct, node[group.graphs], group, k, radius)
        numbers.append(number)
        shares.append(share)
    unpack = layout.packing.unpack_graphs
    return unpack(numbers), unpack(shares)


def _neighbors_in_group(
    pos: Tensor,
    distinct: _Distinct,
    node: Tensor,
    group: GraphGroup,
    k: int,
    radius: float | None,
) -> tuple[Tensor, Tensor]:
    source, measure = group.pack(distinct.node), group.pack(distinct.measure)  # [G, L]
    if group.valid is not None:
        measure = measure.masked_fill(~group.valid, 0.0)
    if torch.compiler.is_compiling() or source.shape[1] < k:
        source, measure = pad(source, (0, k)), pad(measure, (0, k))
    length = source.shape[1]
    column = torch.arange(length, device=pos.device)
    points, absent = pos[source], (measure == 0)[:, None]

    def search(centers: Tensor) -> tuple[Tensor, Tensor]:
        """Columns of the nearest nodes, and whether they are neighbours."""
        square = pos.new_zeros(())
        for a, b in zip(centers.unbind(-1), points.unbind(-1), strict=True):
            square = square + (a[:, :, None] - b[:, None]).square()
        square = square.masked_fill(absent, math.inf)
        last = square.topk(k, largest=False).values[..., -1:]
        ratio = (square / last.clamp(min=torch.finfo(pos.dtype).tiny)).clamp(max=2.0)
        level = (ratio.masked_fill(absent, 2.0) * _LEVELS).round().long()
        chosen = (level * length + column).topk(k, largest=False).indices
        square = square.gather(-1, chosen)
        limit = math.inf if radius is None else radius * radius
        return chosen, square.isfinite() & (square <= limit)

    size = node.shape[1]
    if not torch.compiler.is_compiling():
        size = max(1, _CHUNK // (len(node) * length))
    found = [search(part) for part in pos[node].split(size, dim=1)]
    chosen, near = (torch.cat(part, dim=1) for part in zip(*found, strict=True))

    def columns(values: Tensor) -> Tensor:
        return values.gather(1, chosen.flatten(1)).unflatten(1, chosen.shape[1:])

    # Padding refers to the supernode: a row of another graph might be NaN, and 0 * NaN is NaN.
    number = columns(source).where(near, node[..., None])
    share = columns(measure).masked_fill(~near, 0.0)
    total = share.sum(dim=-1, keepdim=True)
    return number, share / total.masked_fill(total == 0, 1.0)
