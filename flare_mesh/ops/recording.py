"""Whether torch records operations."""

import torch


def is_recorded() -> bool:
    """Whether torch compiles, traces or intercepts the operations of this thread.

    Loops on the memory of tensors must not run then, as torch would not notice what they write:
    a trace would lack it, and selective checkpointing would use tensors that they have overwritten.
    """
    return (
        torch.compiler.is_compiling()  # first, since compiled code cannot call the others
        or torch._C._len_torch_dispatch_stack() > 0
        or torch._C._get_tracing_state() is not None
    )


def is_plain() -> bool:
    """Whether operations are neither recorded nor transformed by ``torch.func`` or forward mode."""
    return (
        not is_recorded()
        and not torch._C._are_functorch_transforms_active()
        and torch.autograd.forward_ad._current_level < 0
    )
