"""Sharding of each mesh's nodes over several processes."""

import copy
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import Data


class Shards:
    """Blocks of ``count`` consecutive processes that share the nodes of their meshes.

    Every process of a block gets the same cases and takes every ``count``-th node. The mixer
    (:meth:`flare_mesh.FLAREOperator.forward`, ``group``) and the loss sum over the block, so that
    DistributedDataParallel averages the gradients over the blocks.

    Args:
        count: Number of processes of a block; 1 for whole meshes.

    Attributes:
        group: Process group of this process's block; None without sharding, and before
            :meth:`setup`.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self.group: Any = None

    def setup(self, trainer: Any) -> None:
        """Create the process groups; called by all processes.

        Raises:
            ValueError: If ``count`` does not divide the number of processes.
        """
        if self.count == 1 or self.group is not None:
            return
        world = trainer.world_size
        if world % self.count:
            raise ValueError(
                f"shards: expected a divisor of the number of processes, {world} (got {self.count})"
            )
        for first in range(0, world, self.count):
            block = list(range(first, first + self.count))
            group = torch.distributed.new_group(block)
            if trainer.global_rank in block:
                self.group = group

    def take(self, data: Data) -> Data:
        """Batch with this process's nodes alone."""
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
