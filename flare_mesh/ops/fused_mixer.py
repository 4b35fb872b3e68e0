"""Both halves of the mixer as one differentiable function of the compiled loops on a CPU.

One call converts queries and keys once for both halves, and one node of autograd's graph computes
all gradients: for small meshes, such steps take longer than the loops.
"""

from typing import Any

import torch
from torch import Tensor

from flare_mesh.ops.fused import Gradients
from flare_mesh.ops.layout import Layout
from flare_mesh.ops.register_operator import register_operator
from flare_mesh.ops.torch_gradients import needs_torch
from flare_mesh.ops.vmap import one_by_one


@register_operator(
    "(Tensor grad_out, Tensor query, Tensor key, Tensor value, Tensor ptr, Tensor? log_weight, "
    "Tensor out, Tensor of_nodes, Tensor columns, Tensor latent, Tensor lse, float scale) "
    "-> (Tensor, Tensor, Tensor, Tensor)"
)
def _mix_backward(*inputs):
    return _gradients(*inputs)


def _gradients(grad_out, query, key, value, ptr, log_weight, *saved):
    from flare_mesh.ops import numba_kernels

    dq, dk, dv, dw = numba_kernels.mix_backward(
        grad_out, query, key, value, ptr, log_weight, *saved
    )
    return (
        dq.to(query.dtype),
        dk.to(key.dtype),
        dv.to(value.dtype),
        key.new_zeros(0, dtype=torch.float32) if log_weight is None else dw.to(log_weight.dtype),
    )


@torch.library.register_fake(_mix_backward)
def _(grad_out, query, key, value, ptr, log_weight, out, of_nodes, columns, latent, lse, scale):
    weight = key.new_empty(0, dtype=torch.float32) if log_weight is None else log_weight
    return tuple(t.new_empty(t.shape) for t in (query, key, value, weight))


torch.library.register_vmap(
    "flare_mesh::mix_backward", one_by_one(torch.ops.flare_mesh.mix_backward)
)


class _Mix(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> Tensor:
        from flare_mesh.ops import numba_kernels

        out, *saved = numba_kernels.mix_forward(*inputs)
        *tensors, ctx.scale = inputs
        ctx.save_for_backward(*tensors, out, *saved)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor):
        given = (*grads, *ctx.saved_tensors, ctx.scale)
        if not needs_torch(grads[0]):
            dq, dk, dv, dw = _gradients(*given)
        else:
            dq, dk, dv, dw = Gradients.apply(torch.ops.flare_mesh.mix_backward, *given)
        return dq, dk, dv, None, dw if ctx.needs_input_grad[4] else None, None


def mix(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    layout: Layout,
    log_weight: Tensor | None,
    scale: float,
) -> Tensor:
    """Values [N, H, D] at the nodes, of tensors as in ``reference.encode``.

    Only where :func:`~flare_mesh.ops.recording.is_plain`.
    """
    inputs = (query, key, value, layout.ptr, log_weight, scale)
    if torch.is_grad_enabled():
        return _Mix.apply(*inputs)  # pyright: ignore[reportReturnType]
    from flare_mesh.ops import numba_kernels

    return numba_kernels.mix(*inputs)
