"""Quadrature weights of the nodes relative to those of their graph."""

import torch
from torch import Tensor

from flare_mesh.nn.graphs import Graphs
from flare_mesh.ops.graph_products import GraphProducts
from flare_mesh.ops.layout import graph_of_nodes


def relative_weights(
    graphs: Graphs, products: GraphProducts, dtype: torch.dtype
) -> tuple[Tensor | None, Tensor]:
    """Weights over the largest of their graph, which cannot overflow, and their sums.

    Returns:
        Weights [N], None for equal ones, and their sum over each graph [B], 1 without nodes.
    """
    if graphs.log_weight is None:
        return None, graphs.layout.ptr.diff().clamp(min=1).to(dtype)
    log_weight = graphs.log_weight[:, None].to(dtype)
    weight = (log_weight - products.maxima(log_weight)).exp()
    # The largest weight of a graph is 1, so that only a graph without nodes has a smaller sum.
    total = products.sums(torch.ones_like(weight)[..., None], weight[..., None]).flatten()
    return weight[:, 0], total.clamp(min=1)


def node_shares(graphs: Graphs, products: GraphProducts, nodes: Tensor) -> Tensor:
    """Weight of each node over the sum of its graph, [N, 1, 1], in the dtype of ``nodes``."""
    weight, total = relative_weights(graphs, products, nodes.dtype)
    share = total.reciprocal()[graph_of_nodes(graphs.layout, nodes.shape[0])]
    return (share if weight is None else share * weight)[:, None, None]


def summands(value: Tensor, weight: Tensor | None) -> Tensor:
    """Values and a last channel of ones, times the weights [N]; [N, H, D] to [N, H, D + 1]."""
    extended = torch.cat([value, torch.ones_like(value[..., :1])], dim=-1)
    return extended if weight is None else extended * weight[:, None, None]
