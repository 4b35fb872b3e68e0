r"""The two halves of third-order linear attention, each with the other as its gradient.

With nodes n of graph g, :func:`third_moments` and :func:`contract` are

.. math::
    S_{gijk} = \sum_{n \in g} a_{ni}\, b_{nj}\, c_{nk}, \qquad
    y_{ni} = \sum_{jk} S_{g(n)ijk}\, b_{nj}\, c_{nk} .

They are matrix products with :math:`b_{nj} c_{nk}`, made for a few j at a time, so that memory is a
few times that of the nodes; only the arguments are kept for the backward pass. Any number of
derivatives exists.
"""

from typing import Any, Protocol

import torch
from torch import Tensor

_COLUMNS = 64  # of b_nj c_nk at a time: matrix products of this width are fast


class Products(Protocol):
    """Matrix products over the nodes of each graph (:class:`flare_mesh.nn.GraphProducts`)."""

    def sums(self, left: Tensor, right: Tensor) -> Tensor: ...
    def multiply(self, left: Tensor, matrices: Tensor) -> Tensor: ...


def third_moments(a: Tensor, b: Tensor, c: Tensor, products: Products) -> Tensor:
    """S [B, H, I, J, K] of a [N, H, I], b [N, H, J] and c [N, H, K]."""
    return _Moments.apply(a, b, c, products)  # pyright: ignore[reportReturnType]


def contract(moments: Tensor, b: Tensor, c: Tensor, products: Products) -> Tensor:
    """y [N, H, I] of S [B, H, I, J, K], b [N, H, J] and c [N, H, K]."""
    return _Contract.apply(moments, b, c, products)  # pyright: ignore[reportReturnType]


def _widths(b: Tensor, c: Tensor) -> range:
    """First of the columns j of b that are taken at a time."""
    return range(0, b.shape[-1], _step(c))


def _step(c: Tensor) -> int:
    return max(1, _COLUMNS // c.shape[-1])


class _Moments(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, c: Tensor, products: Products) -> Tensor:
        ctx.save_for_backward(a, b, c)
        ctx.products = products
        parts = []
        for j in _widths(b, c):
            pairs = b[..., j : j + _step(c), None] * c[..., None, :]
            part = products.sums(a, pairs.flatten(-2))
            parts.append(part.unflatten(-1, pairs.shape[-2:]))
        return torch.cat(parts, dim=-2)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore
        a, b, c = ctx.saved_tensors
        needs = ctx.needs_input_grad
        return (
            contract(grad, b, c, ctx.products) if needs[0] else None,
            contract(grad.transpose(-3, -2), a, c, ctx.products) if needs[1] else None,
            contract(grad.movedim(-1, -3), a, b, ctx.products) if needs[2] else None,
            None,
        )


class _Contract(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, moments: Tensor, b: Tensor, c: Tensor, products: Products) -> Tensor:
        ctx.save_for_backward(moments, b, c)
        ctx.products = products
        total = None
        for j in _widths(b, c):
            some = moments[..., j : j + _step(c), :]  # [B, H, I, some, K]
            rows = products.multiply(c, some.flatten(-3, -2).transpose(-1, -2))
            part = rows.unflatten(-1, some.shape[-3:-1]) @ b[..., j : j + _step(c), None]
            total = part if total is None else total + part
        assert total is not None
        return total.squeeze(-1)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore
        moments, b, c = ctx.saved_tensors
        needs = ctx.needs_input_grad
        return (
            third_moments(grad, b, c, ctx.products) if needs[0] else None,
            contract(moments.transpose(-3, -2), grad, c, ctx.products) if needs[1] else None,
            contract(moments.movedim(-1, -3), grad, b, ctx.products) if needs[2] else None,
            None,
        )
