"""x + GELU(z) in one pass, the step between two layers of the residual MLPs."""

import torch
from torch import Tensor
from torch.nn.functional import gelu

from flare_mesh.ops.backends import has_numba

_MIN_SIZE = 2**14  # numbers; torch is as quick on fewer


class _GeluResidual(torch.autograd.Function):
    """h = x + gelu(z): one pass over memory forward, and one backward."""

    @staticmethod
    def forward(z: Tensor, x: Tensor) -> Tensor:
        from flare_mesh.ops import numba_gelu

        return numba_gelu.forward(z, x)

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:
        ctx.save_for_backward(inputs[0])

    @staticmethod
    def backward(ctx, *grads: Tensor):
        from flare_mesh.ops import numba_gelu

        return numba_gelu.backward(grads[0], *ctx.saved_tensors), grads[0]


def gelu_residual(z: Tensor, x: Tensor) -> Tensor:
    r"""x + GELU(z), with the tanh form of GELU.

    .. math::
        \mathrm{GELU}(z) = \frac{z}{2} \left(1 + \tanh\!\left(\sqrt{2 / \pi}\,
        (z + 0.044715\, z^3)\right)\right)

    Large float32 tensors on the CPU take one compiled pass; others, compiled code and
    ``torch.func`` transforms take torch's operations.

    Args:
        z: Any shape.
        x: The same shape.
    """
    if (
        has_numba
        and z.device.type == "cpu"
        and z.dtype == x.dtype == torch.float32
        and z.numel() >= _MIN_SIZE
        and z.is_contiguous()
        and x.is_contiguous()
        and not torch.compiler.is_compiling()
        and not torch._C._functorch.peek_interpreter_stack()
    ):
        return _GeluResidual.apply(z, x)
    return x + gelu(z, approximate="tanh")
