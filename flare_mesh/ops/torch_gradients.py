"""Gradients by torch's operations, for functions whose own gradients are compiled loops."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from flare_mesh.ops.recording import is_plain


def is_batched(grad: Tensor) -> bool:
    """Whether it stands for many gradients, by ``is_grads_batched`` of torch.autograd.grad."""
    return torch._C._functorch.is_legacy_batchedtensor(grad)  # pyright: ignore[reportAttributeAccessIssue]


def needs_torch(grad: Tensor) -> bool:
    """Whether a gradient must be computed by torch's operations, or may be by a loop."""
    # With gradients enabled, for second derivatives.
    return torch.is_grad_enabled() or not is_plain() or is_batched(grad)


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
