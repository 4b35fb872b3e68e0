"""Random graphs."""

import torch
from torch_geometric.data import Data


def random_graph(
    num_nodes: int,
    in_channels: int = 0,
    *,
    pos_dim: int = 3,
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
) -> Data:
    """A random point cloud: ``pos`` [N, pos_dim], and ``x`` [N, in_channels] or None."""
    generator = torch.Generator().manual_seed(seed)
    pos = torch.randn(num_nodes, pos_dim, generator=generator, dtype=dtype)
    x = torch.randn(num_nodes, in_channels, generator=generator, dtype=dtype)
    return Data(pos=pos, x=x if in_channels else None)
