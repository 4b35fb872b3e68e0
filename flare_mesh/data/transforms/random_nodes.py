"""Random subsets of the nodes."""

import torch
from torch_geometric.data import Data
from torch_geometric.transforms import BaseTransform


class RandomNodes(BaseTransform):
    """A random subset of the nodes, drawn at each access, with the fields that stand on them.

    Cells and edges do not survive. A model that averages over the nodes, as FLARE does, learns
    the same field from a subset at a fraction of the cost; features that need the whole mesh must
    be there before.

    Args:
        num_nodes: Nodes to keep; a smaller graph stays whole.
    """

    def __init__(self, num_nodes: int) -> None:
        if num_nodes < 1:
            raise ValueError(f"RandomNodes: expected num_nodes >= 1 (got {num_nodes})")
        self.num_nodes = num_nodes

    def forward(self, data: Data) -> Data:
        total = data.num_nodes or 0
        kept = torch.randperm(total)[: self.num_nodes]
        fields = {key: value for key, value in data.to_dict().items() if data.is_node_attr(key)}
        return Data(**{key: value[kept] for key, value in fields.items()})
