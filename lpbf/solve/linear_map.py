"""The type of operators and preconditioners."""

from collections.abc import Callable

from torch import Tensor

LinearMap = Callable[[Tensor], Tensor]
"""A symmetric linear map of tensors of one shape; it may return the same tensor in every call."""
