r"""The two halves of third-order linear attention, each with the other as its gradient.

With rows n of a batch of matrices, :func:`third_moments` and :func:`contract` are

.. math::
    S_{ijk} = \sum_n a_{ni}\, b_{nj}\, c_{nk}, \qquad y_{ni} = \sum_{jk} S_{ijk}\, b_{nj}\, c_{nk} .

Both are matrix products with :math:`b_{nj} c_{nk}`, made for a piece of the rows at a time, so that
these products stay in the cache; only the arguments are kept for the backward pass. Any number of
derivatives exists.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

# Products b_nj c_nk at a time: they stay in the second or third level cache of a CPU, and on a GPU
# are enough to keep it busy.
_PRODUCTS = {"cpu": 2**19, "cuda": 2**24}
_FEWEST_ROWS = 32


def third_moments(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """S [..., I, J, K] of a [..., L, I], b [..., L, J] and c [..., L, K]."""
    return _Moments.apply(a, b, c)  # pyright: ignore[reportReturnType]


def contract(moments: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """y [..., L, I] of S [..., I, J, K], b [..., L, J] and c [..., L, K]."""
    return _Contract.apply(moments, b, c)  # pyright: ignore[reportReturnType]


class _Moments(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
        ctx.save_for_backward(a, b, c)
        widths = a.shape[-1], b.shape[-1], c.shape[-1]
        moments = a.new_zeros(*a.shape[:-2], widths[0], widths[1] * widths[2])
        for rows in _pieces(b, c):
            pairs = b[..., rows, :, None] * c[..., rows, None, :]
            moments = moments + a[..., rows, :].transpose(-1, -2) @ pairs.flatten(-2)
        return moments.unflatten(-1, widths[1:])

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore
        a, b, c = ctx.saved_tensors
        if not torch.is_grad_enabled():
            return contract(grad, b, c), *_pair_gradients(grad, a, b, c)
        return (
            contract(grad, b, c),
            contract(grad.transpose(-3, -2), a, c),
            contract(grad.movedim(-1, -3), a, b),
        )


class _Contract(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, moments: Tensor, b: Tensor, c: Tensor) -> Tensor:
        ctx.save_for_backward(moments, b, c)
        i, j, _ = moments.shape[-3:]
        matrix = moments.flatten(-3, -2).transpose(-1, -2)  # [..., K, I J]
        parts = []
        for rows in _pieces(b, c):
            read = (c[..., rows, :] @ matrix).unflatten(-1, (i, j))
            parts.append((read @ b[..., rows, :, None]).squeeze(-1))
        return torch.cat(parts, dim=-2)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore
        moments, b, c = ctx.saved_tensors
        if not torch.is_grad_enabled():
            return third_moments(grad, b, c), *_pair_gradients(moments, grad, b, c)
        return (
            third_moments(grad, b, c),
            contract(moments.transpose(-3, -2), grad, c),
            contract(moments.movedim(-1, -3), grad, b),
        )


def _pair_gradients(moments: Tensor, a: Tensor, b: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """Sums of a_ni S_ijk c_nk and of a_ni S_ijk b_nj, [..., L, J] and [..., L, K]."""
    matrix = moments.flatten(-2)
    grads: tuple[list[Tensor], list[Tensor]] = [], []
    for rows in _pieces(b, c):
        pairs = (a[..., rows, :] @ matrix).unflatten(-1, moments.shape[-2:])
        grads[0].append((pairs * c[..., rows, None, :]).sum(-1))
        grads[1].append((pairs * b[..., rows, :, None]).sum(-2))
    return torch.cat(grads[0], dim=-2), torch.cat(grads[1], dim=-2)


def _pieces(b: Tensor, c: Tensor) -> Iterator[slice]:
    """Pieces of the rows; all at once for torch's compiler, which knows no number of rows."""
    if torch.compiler.is_compiling():
        yield slice(None)
        return
    row = b[..., 0, :].numel() * c.shape[-1] if b.shape[-2] else 1
    step = max(_FEWEST_ROWS, _PRODUCTS.get(b.device.type, 2**24) // max(row, 1))
    for start in range(0, max(b.shape[-2], 1), step):
        yield slice(start, start + step)
