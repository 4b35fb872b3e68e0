"""Sums over the nodes of each graph."""

from typing import Any

import torch
from torch import Tensor
from torch import distributed as dist
from torch.autograd.function import once_differentiable


class _SumOverGroup(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, sums: Tensor, group: Any) -> Tensor:
        ctx.group = group
        sums = sums.contiguous().clone()
        dist.all_reduce(sums, dist.ReduceOp.SUM, group)
        return sums

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor):  # pyright: ignore[reportIncompatibleMethodOverride]
        grad = grads[0].contiguous().clone()
        dist.all_reduce(grad, dist.ReduceOp.SUM, ctx.group)
        return grad, None


def graph_sums(
    values: Tensor, batch: Tensor | None = None, batch_size: int | None = None, *, group: Any = None
) -> Tensor:
    """Sum of each column over the nodes of each graph.

    Args:
        values: [N, F].
        batch: Graph of each node, [N]; None for one graph.
        batch_size: Number B of graphs; by default the last in ``batch``, which synchronises with
            the device.
        group: ``torch.distributed`` process group that shares the nodes of each graph; each process
            passes its own nodes and the same ``batch_size``.

    Returns:
        [B, F]; with a group, the same on all its processes, and with the gradient of the sum of the
        results of all processes, as :func:`~flare_mesh.nn.merge.merge_over_group`.
    """
    if batch is None:
        batch_size = 1
    elif batch_size is None:
        batch_size = int(batch.max()) + 1
    if batch is None or batch_size == 1:
        sums = values.sum(0, keepdim=True)
    else:
        # Column by column, since index_add of matrix rows is several times slower on a CPU.
        empty = values.new_zeros(batch_size)
        sums = torch.stack([empty.index_add(0, batch, column) for column in values.unbind(1)], 1)
    return sums if group is None else _SumOverGroup.apply(sums, group)
