"""Random graphs."""

import math

import torch
from torch import Tensor
from torch_geometric.data import Data


def random_graph(
    num_nodes: int,
    in_channels: int = 0,
    *,
    pos_dim: int = 3,
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
    edges: bool = False,
) -> Data:
    """A random point cloud: ``pos`` [N, pos_dim], and ``x`` [N, in_channels] or None.

    With ``edges``, it has directed edges ``edge_index`` [2, E], along which two steps lead from
    each node to every other.
    """
    generator = torch.Generator().manual_seed(seed)
    pos = torch.randn(num_nodes, pos_dim, generator=generator, dtype=dtype)
    x = torch.randn(num_nodes, in_channels, generator=generator, dtype=dtype)
    edge_index = _ring_edges(num_nodes) if edges else None
    return Data(pos=pos, x=x if in_channels else None, edge_index=edge_index)


def _ring_edges(num_nodes: int) -> Tensor:
    """Edges into each node from the next ones on a ring, and from every k-th, k about sqrt(N)."""
    k = math.isqrt(max(0, num_nodes - 1)) + 1
    steps = torch.tensor([*range(1, min(k, num_nodes)), *range(k, num_nodes, k)], dtype=torch.int64)
    target = torch.arange(num_nodes).repeat_interleave(len(steps))
    source = (target + steps.repeat(num_nodes)) % max(1, num_nodes)
    return torch.stack([source, target])
