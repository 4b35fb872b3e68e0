"""x + GELU(z) in one pass, the step between two layers of the residual MLPs."""

import torch
from torch import Tensor
from torch.nn.functional import gelu

from flare_mesh.ops.backends import has_numba

_MIN_SIZE = 2**14  # numbers; torch is as quick on fewer


def _all_at_once(function):
    """The vmap rule of an elementwise function: the mapped dimension is one more."""

    def rule(info, in_dims, *args):
        same = [
            a.expand(info.batch_size, *a.shape) if d is None else a.movedim(d, 0)
            for a, d in zip(args, in_dims, strict=True)
        ]
        return function(*(a.contiguous() for a in same)), 0

    return rule


class _GeluGradient(torch.autograd.Function):
    """grad GELU'(z)."""

    @staticmethod
    def forward(grad: Tensor, z: Tensor) -> Tensor:
        from flare_mesh.ops import numba_gelu

        return numba_gelu.backward(grad, z)

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx, *grads: Tensor):
        with torch.enable_grad():
            leaves = [t.detach().requires_grad_() for t in ctx.saved_tensors]
            out = torch.ops.aten.gelu_backward(*leaves, approximate="tanh")
        return torch.autograd.grad(out, leaves, grads[0])

    @staticmethod
    def vmap(info, in_dims, *args):
        return _all_at_once(_GeluGradient.apply)(info, in_dims, *args)


class _GeluResidual(torch.autograd.Function):
    """x + GELU(z)."""

    @staticmethod
    def forward(z: Tensor, x: Tensor) -> Tensor:
        from flare_mesh.ops import numba_gelu

        return numba_gelu.forward(z, x)

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:
        ctx.save_for_backward(inputs[0])

    @staticmethod
    def backward(ctx, *grads: Tensor):
        return _GeluGradient.apply(grads[0], *ctx.saved_tensors), grads[0]

    @staticmethod
    def vmap(info, in_dims, *args):
        return _all_at_once(_GeluResidual.apply)(info, in_dims, *args)


def gelu_residual(z: Tensor, x: Tensor) -> Tensor:
    r"""x + GELU(z), with the tanh form of GELU.

    .. math::
        \mathrm{GELU}(z) = \frac{z}{2} \left(1 + \tanh\!\left(\sqrt{2 / \pi}\,
        (z + 0.044715\, z^3)\right)\right)

    Large float32 tensors on the CPU take one compiled pass; others, and compiled code, take
    torch's operations.

    Args:
        z: Any shape.
        x: The same shape.
    """
    if (
        not torch.compiler.is_compiling()  # first: compiled code shall not depend on the size
        and has_numba
        and z.device.type == "cpu"
        and z.dtype == x.dtype == torch.float32
        and z.numel() >= _MIN_SIZE
        and z.is_contiguous()
        and x.is_contiguous()
    ):
        return _GeluResidual.apply(z, x)
    return x + gelu(z, approximate="tanh")
