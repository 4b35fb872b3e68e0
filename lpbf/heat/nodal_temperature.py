"""Temperatures of nodes from those of cells."""

import torch
from torch import Tensor


def nodal_temperature(cells: Tensor, temperature: Tensor) -> Tensor:
    """Mean over the cells that share a node, [N].

    Args:
        cells: Nodes of each standing cell, [n, 8]; every node up to the highest belongs to one.
        temperature: Of the cells, [n].
    """
    nodes = cells.flatten()
    owners = torch.bincount(nodes)
    return torch.bincount(nodes, weights=temperature.repeat_interleave(8)) / owners
