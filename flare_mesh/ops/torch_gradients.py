"""Gradients by torch's operations, for functions whose own gradients are compiled loops."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from flare_mesh.ops.recording import is_plain


def needs_torch(grad: Tensor) -> bool:
    """Whether torch's operations must compute a gradient; otherwise a loop can.

    Gradients are enabled for second derivatives. A batched tensor is many gradients at once, which
    ``torch.autograd.grad`` makes with ``is_grads_batched=True``.
    """
    is_batched: bool = torch._C._functorch.is_legacy_batchedtensor(grad)  # pyright: ignore[reportAttributeAccessIssue]
    return torch.is_grad_enabled() or not is_plain() or is_batched


def torch_gradients(
    function: Callable[..., Tensor],
    grad: Tensor,
    inputs: Sequence[Tensor],
    needed: Sequence[bool],
) -> list[Tensor | None]:
    """Gradients at the inputs of a function of torch's operations; None where not needed."""
    twice = torch.is_grad_enabled()
    with torch.enable_grad():
        # Views, as an input may have been computed from another one.
        views = [t.view_as(t) for t in inputs]
        leaves = [t for t, use in zip(views, needed, strict=True) if use]
        out = function(*views)
    found = iter(torch.autograd.grad(out, leaves, grad, create_graph=twice))
    return [next(found) if use else None for use in needed]
