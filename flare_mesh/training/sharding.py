"""The nodes of each mesh spread over several processes."""

import copy
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import Data


class Shards:
    """Blocks of ``count`` consecutive processes that share their meshes' nodes.

    Every process of a block gets the same cases and takes each ``count``-th node. The mixer sums
    over the block (:meth:`flare_mesh.FLAREOperator.forward`, ``group``), and so does the loss; the
    gradients that DistributedDataParallel averages are then those of the mean over the blocks.

    Args:
        count: Processes of a block; 1 for whole meshes.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self.group: Any = None

    def setup(self, trainer: Any) -> None:
        """Makes the process group of this process's block; all processes call it.

        Raises:
            ValueError: If the processes cannot be divided into such blocks.
        """
        if self.count == 1 or self.group is not None:
            return
        world = trainer.world_size
        if world % self.count:
            raise ValueError(
                f"shards: expected a number that divides the {world} processes (got {self.count})"
            )
        for first in range(0, world, self.count):
            block = list(range(first, first + self.count))
            group = torch.distributed.new_group(block)
            if trainer.global_rank in block:
                self.group = group

    def take(self, data: Data) -> Data:
        """This process's nodes of a batch."""
        if self.group is None:
            return data
        assert data.pos is not None
        rank, nodes = torch.distributed.get_rank(self.group), len(data.pos)
        out = copy.copy(data)
        for key in ("pos", "x", "y", "batch", "weight"):
            values = data.get(key)
            if isinstance(values, Tensor) and len(values) == nodes:
                out[key] = values[rank :: self.count].contiguous()
        return out
