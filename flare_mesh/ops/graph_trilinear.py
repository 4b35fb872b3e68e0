r"""Third moments of the nodes of each graph and their contraction, by Triton kernels.

The functions of :mod:`flare_mesh.ops.trilinear`, on ragged tensors instead of blocks:

.. math::
    S_{gijk} = \sum_{n \in g} a_{ni}\, b_{nj}\, c_{nk}, \qquad
    y_{ni} = \sum_{jk} S_{g(n)ijk}\, b_{nj}\, c_{nk} .

Any number of derivatives exists. Sums are in float32 and have the same order each time.
"""

from importlib import import_module
from typing import Any

import torch
from torch import Tensor

from flare_mesh.ops.register_operator import register_operator


def graph_moments(a: Tensor, b: Tensor, c: Tensor, ptr: Tensor) -> Tensor:
    """S [B, H, I, J, K] in float32 of a [N, H, I], b [N, H, J] and c [N, H, K]."""
    return _Moments.apply(a, b, c, ptr)  # pyright: ignore[reportReturnType]


def graph_contract(moments: Tensor, b: Tensor, c: Tensor, ptr: Tensor) -> Tensor:
    """y [N, H, I] in float32 of S [B, H, I, J, K], b [N, H, J] and c [N, H, K]."""
    return _Contract.apply(moments, b, c, ptr)  # pyright: ignore[reportReturnType]


@register_operator("(Tensor a, Tensor b, Tensor c, Tensor ptr) -> Tensor")
def _graph_moments(a, b, c, ptr):
    return import_module("flare_mesh.ops.triton_trilinear").third_moments(a, b, c, ptr)


@register_operator("(Tensor moments, Tensor b, Tensor c, Tensor ptr) -> Tensor")
def _graph_contract(moments, b, c, ptr):
    return import_module("flare_mesh.ops.triton_trilinear").contract(moments, b, c, ptr)


@torch.library.register_fake(_graph_moments)
def _(a, b, c, ptr):
    widths = a.shape[-1], b.shape[-1], c.shape[-1]
    return a.new_empty(ptr.shape[0] - 1, a.shape[1], *widths, dtype=torch.float32)


@torch.library.register_fake(_graph_contract)
def _(moments, b, c, ptr):
    return b.new_empty(*b.shape[:2], moments.shape[2], dtype=torch.float32)


class _Moments(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, c: Tensor, ptr: Tensor) -> Tensor:
        ctx.save_for_backward(a, b, c, ptr)
        return torch.ops.flare_mesh.graph_moments(a, b, c, ptr)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore
        a, b, c, ptr = ctx.saved_tensors
        return (
            graph_contract(grad, b, c, ptr).to(a.dtype),
            graph_contract(grad.transpose(-3, -2), a, c, ptr).to(b.dtype),
            graph_contract(grad.movedim(-1, -3), a, b, ptr).to(c.dtype),
            None,
        )


class _Contract(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, moments: Tensor, b: Tensor, c: Tensor, ptr: Tensor) -> Tensor:
        ctx.save_for_backward(moments, b, c, ptr)
        return torch.ops.flare_mesh.graph_contract(moments, b, c, ptr)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore
        moments, b, c, ptr = ctx.saved_tensors
        return (
            graph_moments(grad, b, c, ptr).to(moments.dtype),
            graph_contract(moments.transpose(-3, -2), grad, c, ptr).to(b.dtype),
            graph_contract(moments.movedim(-1, -3), grad, b, ptr).to(c.dtype),
            None,
        )
