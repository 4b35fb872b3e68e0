"""Merging of latents over the processes that share a mesh."""

from typing import Any

import torch
from torch import Tensor
from torch import distributed as dist
from torch.autograd.function import once_differentiable


class _Merge(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, latent: Tensor, logsumexp: Tensor, group: Any) -> Tensor:
        top = logsumexp.clone()
        dist.all_reduce(top, dist.ReduceOp.MAX, group)
        # Where all parts are empty, -inf - (-inf) must give a share of 0 and not NaN.
        share = (logsumexp - top.masked_fill(top == -torch.inf, 0.0)).exp().unsqueeze(-1)
        packed = torch.cat([share * latent, share], dim=-1)
        dist.all_reduce(packed, dist.ReduceOp.SUM, group)
        total = packed[..., -1:]
        total = total.masked_fill(total == 0, 1.0)
        merged = packed[..., :-1] / total
        ctx.group = group
        ctx.save_for_backward(latent, share / total, merged)
        return merged

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor):  # pyright: ignore[reportIncompatibleMethodOverride]
        latent, share, merged = ctx.saved_tensors
        # The outputs of all processes depend on the merged latents.
        grad = grads[0].contiguous().clone()
        dist.all_reduce(grad, dist.ReduceOp.SUM, ctx.group)
        grad_logsumexp = (share * grad * (latent - merged)).sum(-1)
        return share * grad, grad_logsumexp, None


def merge_over_group(latent: Tensor, logsumexp: Tensor, group: Any) -> Tensor:
    r"""Latents of whole graphs from the latents of their parts on the processes of a group.

    .. math::
        Z = \sum_r e^{L_r - L} Z_r, \qquad L = \mathrm{logsumexp}_r L_r

    Two all-reduces, of B H M maxima and of B H M (D + 1) sums, and one of B H M D numbers in the
    backward, whatever the number of nodes. A process without nodes passes L = -inf. The result is
    the same on all processes, and its gradient is exact for the sum of their losses.

    Shapes: Z_r and Z [B, H, M, D], L_r [B, H, M], the same on all processes.
    """
    return _Merge.apply(latent, logsumexp, group)
