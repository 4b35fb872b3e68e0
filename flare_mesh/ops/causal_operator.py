"""Causal FLARE by compiled or Triton kernels as an operator, and its hand-written gradient."""

from functools import cache
from importlib import import_module
from typing import Any

import torch
from torch import Tensor

from flare_mesh.ops.precision import sum_dtype
from flare_mesh.ops.register_operator import register_operator

CHUNK = 64
"""Tokens between two states that the compiled loops store for the backward pass."""
TRITON_CHUNK = 256
"""Tokens of a chunk in the Triton kernels, a power of two; they store a state for each."""
TRITON_WIDEST = 64
"""Most channels of a head in the Triton kernels."""
_MODULES = {
    "numba": "flare_mesh.ops.numba_causal",
    "triton": "flare_mesh.ops.triton_causal_flare",
}


@cache
def _kernels(backend: str) -> Any:
    return import_module(_MODULES[backend])


@register_operator(
    "(Tensor query, Tensor key, Tensor value, Tensor? decode_query, Tensor? decode_key, "
    "Tensor? valid, Tensor ptr, Tensor lse, Tensor latent, float scale, bool store, str backend) "
    "-> (Tensor, Tensor, Tensor, Tensor, Tensor)"
)
def _causal_flare(*arguments):
    *arguments, backend = arguments
    return _kernels(backend).causal(*arguments)


@register_operator(
    "(Tensor grad, Tensor query, Tensor key, Tensor value, Tensor? decode_query, "
    "Tensor? decode_key, Tensor? valid, Tensor ptr, Tensor out, Tensor stored, Tensor norm, "
    "float scale, str backend) -> (Tensor, Tensor, Tensor, Tensor, Tensor)"
)
def _causal_flare_backward(*arguments):
    *arguments, backend = arguments
    grads = _kernels(backend).causal_backward(*arguments)
    given = arguments[1:6]
    return tuple(
        given[0].new_empty(0) if t is None else grad.to(t.dtype).contiguous()
        for grad, t in zip(grads, given, strict=True)
    )


@torch.library.register_fake(_causal_flare)
def _(query, key, value, decode_query, decode_key, valid, ptr, lse, latent, scale, store, backend):
    (graphs, heads, latents), width = lse.shape, value.shape[2]
    chunk = CHUNK if backend == "numba" else TRITON_CHUNK
    count = len(key) // chunk + graphs if store else 0
    if backend == "numba":
        record, norm = (heads, width + 2, latents), (0,)
    else:
        record, norm = (heads, latents * (width + 2)), (heads if store else 0, len(key))
    wide = {"dtype": sum_dtype(key)}
    return (
        value.new_empty(value.shape), lse.new_empty(lse.shape), latent.new_empty(latent.shape),
        key.new_empty((count, *record), **wide), key.new_empty(norm, **wide),
    )  # fmt: skip


@torch.library.register_fake(_causal_flare_backward)
def _(grad, query, key, value, decode_query, decode_key, valid, *_):
    given = (query, key, value, decode_query, decode_key)
    return tuple(query.new_empty(0) if t is None else t.new_empty(t.shape) for t in given)


class Causal(torch.autograd.Function):
    """Outputs and the state after the last tokens; only the outputs have a gradient."""

    @staticmethod
    def forward(
        ctx: Any,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        decode_query: Tensor | None,
        decode_key: Tensor | None,
        valid: Tensor | None,
        ptr: Tensor,
        lse: Tensor,
        latent: Tensor,
        scale: float,
        store: bool,
        backend: str,
    ) -> tuple[Tensor, ...]:
        inputs = (query, key, value, decode_query, decode_key)
        out, lse, latent, *stored = torch.ops.flare_mesh.causal_flare(
            *inputs, valid, ptr, lse, latent, scale, store, backend
        )
        ctx.save_for_backward(*inputs, valid, ptr, out, *stored)
        ctx.scale, ctx.backend = scale, backend
        ctx.mark_non_differentiable(lse, latent)
        return out, lse, latent

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor, *_: Any) -> tuple[Tensor | None, ...]:  # pyright: ignore
        grads = torch.ops.flare_mesh.causal_flare_backward(
            grad, *ctx.saved_tensors, ctx.scale, ctx.backend
        )
        given = ctx.saved_tensors[:5]
        return *(None if t is None else g for g, t in zip(grads, given, strict=True)), *(None,) * 7
