"""Signature of a function, computed once."""

import inspect
from collections.abc import Callable
from typing import Any


def fixed_signature(function: Callable[..., Any]) -> Any:
    """Store a function's signature with it.

    ``torch.autograd.Function.apply`` inspects the signature of ``forward`` at each call if there is
    a ``setup_context``, which takes as long as a small forward pass; a stored one is only read.
    """
    function.__signature__ = inspect.signature(function)  # pyright: ignore[reportFunctionMemberAccess]
    return function
