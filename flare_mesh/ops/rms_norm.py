"""Root-mean-square normalisation."""

import torch
from torch import Tensor
from torch.nn import functional

from flare_mesh.ops.plain_tensors import are_plain
from flare_mesh.ops.recording import is_plain
from flare_mesh.ops.torch_gradients import needs_torch, torch_gradients

_MIN_SIZE = 2**13  # numbers; for fewer, torch is as fast
_MAX_WIDTH = 256  # numbers of a row, which are unrolled in compiled code


def _by_torch(x: Tensor, *weight: Tensor, eps: float | None) -> Tensor:
    return functional.rms_norm(x, x.shape[-1:], *weight, eps=eps)


class _RMSNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx, eps: float, x: Tensor, *weight: Tensor) -> Tensor:
        from flare_mesh.ops import numba_rms_norm

        ctx.eps = eps
        ctx.save_for_backward(x, *weight)
        return numba_rms_norm.value(x, weight, eps)

    @staticmethod
    def backward(ctx, *grads: Tensor):
        from flare_mesh.ops import numba_rms_norm

        inputs, needed, eps = ctx.saved_tensors, ctx.needs_input_grad[1:], ctx.eps
        if needs_torch(grads[0]):

            def function(x: Tensor, *weight: Tensor) -> Tensor:
                return _by_torch(x, *weight, eps=eps)

            every = torch_gradients(function, grads[0], inputs, needed)
        else:
            every = numba_rms_norm.gradients(grads[0], inputs[0], inputs[1:], eps)
        return None, *every


def rms_norm(x: Tensor, weight: Tensor | None = None, eps: float | None = None) -> Tensor:
    r"""Rows divided by their root mean square (arXiv 1910.07467).

    .. math:: y_j = w_j\, x_j \left(\frac{1}{D} \sum_i x_i^2 + \epsilon\right)^{-1/2}

    For large float32 tensors on the CPU it is one compiled pass over memory, and so is its
    gradient; other tensors, second derivatives, transforms and traces take torch's operations.

    Args:
        x: [..., D].
        weight: [D], or None for ones.
        eps: Added to the mean square; None for the machine epsilon.

    Returns:
        [..., D].
    """
    tensors = [x] if weight is None else [x, weight]
    if not (
        is_plain()  # first, so that compiled code does not check the size
        and are_plain(*tensors)
        and all(t.shape == x.shape[-1:] for t in tensors[1:])
        and not torch.is_autocast_enabled("cpu")
        and x.numel() >= _MIN_SIZE
        and x.shape[-1] <= _MAX_WIDTH
        and x.is_contiguous()
    ):
        return _by_torch(x, *tensors[1:], eps=eps)
    if eps is None:
        eps = torch.finfo(x.dtype).eps
    if torch.is_grad_enabled() and any(t.requires_grad for t in tensors):
        return _RMSNorm.apply(eps, *tensors)
    from flare_mesh.ops import numba_rms_norm

    return numba_rms_norm.value(x, tensors[1:], eps)
