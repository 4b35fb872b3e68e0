"""Differentiable halves of the mixer around backends with hand-written gradients.

A backend is a module with ``encode``, ``encode_backward``, ``decode`` and ``decode_backward`` on
flat tensors. In compiled, exported and otherwise recorded code each is one operator; eager code
calls the kernels from autograd functions, whose gradients are the same operators. Without gradients
it calls the kernels alone. ``fused_mixer`` has both halves as one function.
"""

from functools import cache, partial
from importlib import import_module
from typing import Any

import torch
from torch import Tensor

from flare_mesh.ops.fixed_signature import fixed_signature
from flare_mesh.ops.layout import Layout
from flare_mesh.ops.precision import sum_dtype
from flare_mesh.ops.recording import is_plain, is_recorded
from flare_mesh.ops.register_operator import register_operator
from flare_mesh.ops.vmap import one_by_one

_MODULES = {"numba": "flare_mesh.ops.numba_kernels", "triton": "flare_mesh.ops.triton_kernels"}


@cache
def _kernels(backend: str) -> Any:
    return import_module(_MODULES[backend])


@register_operator(
    "(Tensor query, Tensor key, Tensor value, Tensor ptr, Tensor? log_weight, float scale, "
    "str backend) -> (Tensor, Tensor)"
)
def _encode(query, key, value, ptr, log_weight, scale, backend):
    return _kernels(backend).encode(query, key, value, ptr, log_weight, scale)


@register_operator(
    "(Tensor grad_latent, Tensor grad_lse, Tensor query, Tensor key, Tensor value, Tensor ptr, "
    "Tensor? log_weight, Tensor latent, Tensor lse, float scale, str backend) "
    "-> (Tensor, Tensor, Tensor, Tensor)"
)
def _encode_backward(
    grad_latent, grad_lse, query, key, value, ptr, log_weight, latent, lse, scale, backend
):
    dq, dk, dv, dw = _kernels(backend).encode_backward(
        grad_latent, grad_lse, query, key, value, ptr, log_weight, latent, lse, scale
    )
    return (
        dq.to(query.dtype).contiguous(),
        dk.to(key.dtype),
        dv.to(value.dtype),
        key.new_zeros(0, dtype=torch.float32) if log_weight is None else dw.to(log_weight.dtype),
    )


@register_operator(
    "(Tensor query, Tensor key, Tensor latent, Tensor ptr, float scale, str backend) "
    "-> (Tensor, Tensor)"
)
def _decode(query, key, latent, ptr, scale, backend):
    return _kernels(backend).decode(query, key, latent, ptr, scale)


@register_operator(
    "(Tensor grad_out, Tensor query, Tensor key, Tensor latent, Tensor ptr, Tensor out, "
    "Tensor lse, float scale, str backend) -> (Tensor, Tensor, Tensor)"
)
def _decode_backward(grad_out, query, key, latent, ptr, out, lse, scale, backend):
    dq, dk, dz = _kernels(backend).decode_backward(
        grad_out, query, key, latent, ptr, out, lse, scale
    )
    return dq.to(query.dtype).contiguous(), dk.to(key.dtype), dz.to(latent.dtype).contiguous()


@torch.library.register_fake(_encode)
def _(query, key, value, ptr, log_weight, scale, backend):
    dtype = sum_dtype(key)
    return query.new_empty(query.shape, dtype=dtype), query.new_empty(query.shape[:3], dtype=dtype)


@torch.library.register_fake(_encode_backward)
def _(grad_latent, grad_lse, query, key, value, ptr, log_weight, latent, lse, scale, backend):
    weight = key.new_empty(0, dtype=torch.float32) if log_weight is None else log_weight
    return tuple(t.new_empty(t.shape) for t in (query, key, value, weight))


@torch.library.register_fake(_decode)
def _(query, key, latent, ptr, scale, backend):
    return key.new_empty(key.shape), key.new_empty(key.shape[:2], dtype=sum_dtype(key))


@torch.library.register_fake(_decode_backward)
def _(grad_out, query, key, latent, ptr, out, lse, scale, backend):
    return tuple(t.new_empty(t.shape) for t in (query, key, latent))


for _name in ("encode_backward", "decode_backward"):
    torch.library.register_vmap(
        f"flare_mesh::{_name}", one_by_one(getattr(torch.ops.flare_mesh, _name))
    )


class Gradients(torch.autograd.Function):
    """An operator that computes gradients, without second derivatives."""

    @staticmethod
    @fixed_signature
    def forward(operator, *args):
        return operator(*args)

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:
        pass

    @staticmethod
    def backward(ctx, *grads):
        raise NotImplementedError(
            "flare_mesh: the backends 'numba' and 'triton' have no second derivatives; "
            "use backend='reference'"
        )

    @staticmethod
    def vmap(info, in_dims, *args):
        operator, *tensors = args
        return one_by_one(partial(Gradients.apply, operator))(info, in_dims[1:], *tensors)


class _Encode(torch.autograd.Function):
    """Eager form of torch.ops.flare_mesh.encode: faster to call, and supports torch.func."""

    @staticmethod
    @fixed_signature
    def forward(*inputs):
        return _kernels(inputs[-1]).encode(*inputs[:-1])

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:
        query, key, value, ptr, log_weight, ctx.scale, ctx.backend = inputs
        ctx.save_for_backward(query, key, value, ptr, log_weight, *output)

    @staticmethod
    def backward(ctx, *grads):
        operator = torch.ops.flare_mesh.encode_backward
        dq, dk, dv, dw = Gradients.apply(
            operator, *grads, *ctx.saved_tensors, ctx.scale, ctx.backend
        )
        return dq, dk, dv, None, dw if ctx.needs_input_grad[4] else None, None, None

    @staticmethod
    def vmap(info, in_dims, *args):
        return one_by_one(_Encode.apply)(info, in_dims, *args)


class _Decode(torch.autograd.Function):
    """Eager form of torch.ops.flare_mesh.decode."""

    @staticmethod
    @fixed_signature
    def forward(*inputs):
        return _kernels(inputs[-1]).decode(*inputs[:-1])

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:
        query, key, latent, ptr, ctx.scale, ctx.backend = inputs
        ctx.save_for_backward(query, key, latent, ptr, *output)

    @staticmethod
    def backward(ctx, *grads):
        grad_out, _ = grads  # nothing uses the log-sum-exps
        operator = torch.ops.flare_mesh.decode_backward
        results = Gradients.apply(operator, grad_out, *ctx.saved_tensors, ctx.scale, ctx.backend)
        return *results, None, None, None

    @staticmethod
    def vmap(info, in_dims, *args):
        return one_by_one(_Decode.apply)(info, in_dims, *args)


for _name, _eager in (("encode", _Encode), ("decode", _Decode)):
    torch.library.register_autograd(
        f"flare_mesh::{_name}", _eager.backward, setup_context=_eager.setup_context
    )


def encode(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    layout: Layout,
    log_weight: Tensor | None,
    scale: float,
    *,
    backend: str,
) -> tuple[Tensor, Tensor]:
    """As the reference, with the kernels of ``backend``."""
    if is_plain() and not torch.is_grad_enabled():
        return _kernels(backend).encode(query, key, value, layout.ptr, log_weight, scale)
    half = torch.ops.flare_mesh.encode if is_recorded() else _Encode.apply
    return half(query, key, value, layout.ptr, log_weight, scale, backend)


def decode(
    query: Tensor, key: Tensor, latent: Tensor, layout: Layout, scale: float, *, backend: str
) -> Tensor:
    """As the reference, with the kernels of ``backend``."""
    if is_plain() and not torch.is_grad_enabled():
        return _kernels(backend).decode(query, key, latent, layout.ptr, scale)[0]
    half = torch.ops.flare_mesh.decode if is_recorded() else _Decode.apply
    return half(query, key, latent, layout.ptr, scale, backend)[0]
