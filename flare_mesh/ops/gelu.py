"""x + GELU(x W + b), a hidden layer of the residual MLPs."""

import math

import torch
from torch import Tensor
from torch.nn.functional import gelu, linear

from flare_mesh.ops.fixed_signature import fixed_signature
from flare_mesh.ops.vmap import one_by_one

_C, _A = math.sqrt(2 / math.pi), 0.044715
_MIN_SIZE = 2**14  # numbers; for fewer, torch is as fast


def _as_rows(function, shared: tuple[bool, ...]):
    """vmap rule for a function of rows: the mapped dimension becomes one more axis of rows.

    ``shared`` marks arguments without rows; if one is mapped, each element has its own call.
    """

    def rule(info, in_dims, *args):
        if any(same and d is not None for same, d in zip(shared, in_dims, strict=True)):
            return one_by_one(function)(info, in_dims, *args)
        moved = [
            a if same else (a.expand(info.batch_size, *a.shape) if d is None else a.movedim(d, 0))
            for a, d, same in zip(args, in_dims, shared, strict=True)
        ]
        return function(*(a.contiguous() if isinstance(a, Tensor) else a for a in moved)), 0

    return rule


class _Gradient(torch.autograd.Function):
    """grad GELU'(z + bias)."""

    @staticmethod
    @fixed_signature
    def forward(grad: Tensor, z: Tensor, bias: Tensor) -> Tensor:
        from flare_mesh.ops import numba_gelu

        return numba_gelu.backward(grad, z, bias)

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx, *grads: Tensor):
        # In torch operations, which are differentiable any number of times.
        grad, z, bias = ctx.saved_tensors
        v = z + bias
        t = torch.tanh(_C * (v + _A * v**3))
        slope = _C * (1 + 3 * _A * v**2)
        second = (1 - t**2) * (slope + v * (3 * _A * _C * v - t * slope**2))
        grad_z = grads[0] * grad * second
        first = torch.ops.aten.gelu_backward(grads[0], v, approximate="tanh")
        return first, grad_z, grad_z.flatten(0, -2).sum(0)

    @staticmethod
    def vmap(info, in_dims, *args):
        return _as_rows(_Gradient.apply, (False, False, True))(info, in_dims, *args)


class _Residual(torch.autograd.Function):
    """x + GELU(z + bias), in the memory of z unless a gradient needs z."""

    @staticmethod
    @fixed_signature
    def forward(z: Tensor, bias: Tensor, x: Tensor, keep: bool) -> Tensor:
        from flare_mesh.ops import numba_gelu

        return numba_gelu.forward(z, bias, x, keep)

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:
        ctx.save_for_backward(*inputs[:2])
        ctx.save_for_forward(*inputs[:2])

    @staticmethod
    def backward(ctx, *grads: Tensor):
        grad_z = _Gradient.apply(grads[0], *ctx.saved_tensors)
        return grad_z, grad_z.flatten(0, -2).sum(0), grads[0], None

    @staticmethod
    def jvp(ctx, *changes: Tensor | None):
        dz, dbias, dx, _ = changes
        z, bias = ctx.saved_tensors
        dv = dz if dbias is None else (dbias.expand_as(z) if dz is None else dz + dbias)
        if dv is None:
            return dx
        change = torch.ops.aten.gelu_backward(dv, z + bias, approximate="tanh")
        return change if dx is None else dx + change

    @staticmethod
    def vmap(info, in_dims, *args):
        args = (*args[:3], True)  # z may be shared by all elements
        return _as_rows(_Residual.apply, (False, True, False, True))(info, in_dims, *args)


def _has_compiled_pass(x: Tensor, weight: Tensor) -> bool:
    return (
        not torch.compiler.is_compiling()  # first, so that compiled code does not check the size
        and x.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and not torch.is_autocast_enabled("cpu")
        and x.numel() >= _MIN_SIZE
        and x.is_contiguous()
    )


def linear_gelu_residual(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    r"""x + GELU(x W^T + b), with the tanh form of GELU.

    .. math::
        \mathrm{GELU}(z) = \frac{z}{2} \left(1 + \tanh\!\left(\sqrt{2 / \pi}\,
        (z + 0.044715\, z^3)\right)\right)

    For large float32 tensors on the CPU, everything after the matrix product is one compiled pass
    over memory, and one more in the backward; other tensors take torch's operations, and so does
    code under torch.compile.

    Args:
        x: [..., C].
        weight: [C, C].
        bias: [C].

    Returns:
        [..., C].
    """
    if _has_compiled_pass(x, weight):
        return _Residual.apply(linear(x, weight), bias, x, torch.is_grad_enabled())
    return x + gelu(linear(x, weight, bias), approximate="tanh")
