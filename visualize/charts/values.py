"""Predicted and true values for charts."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

Values = Tensor | ArrayLike


def value_pair(predicted: Values, truth: Values) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Both fields as [N, C] in float64.

    Raises:
        ValueError: If the shapes differ, or there are no values.
    """
    pair = tuple(_array(values) for values in (predicted, truth))
    if pair[0].shape != pair[1].shape or pair[0].ndim != 2 or not pair[0].size:
        raise ValueError(
            f"expected 'predicted' and 'truth' of one shape [N, C] or [N] with N >= 1 (got "
            f"{list(np.shape(predicted))} and {list(np.shape(truth))})"
        )
    return pair[0], pair[1]


def finite_rows(*columns: NDArray[np.float64]) -> tuple[list[NDArray[np.float64]], int]:
    """The columns without the entries that are not finite in one of them, and their number.

    Raises:
        ValueError: If none is left.
    """
    keep = np.logical_and.reduce([np.isfinite(column) for column in columns])
    if not keep.any():
        raise ValueError(f"expected finite values (got none among {len(keep):,})")
    return [column[keep] for column in columns], int((~keep).sum())


def left_out(count: int) -> str:
    """A line about values that are not finite; empty without any."""
    return f"\n{count:,} values that are not finite are left out" if count else ""


def _array(values: Values) -> NDArray[np.float64]:
    array = values.detach().cpu().double().numpy() if isinstance(values, Tensor) else values
    array = np.asarray(array, dtype=np.float64)
    return array[:, None] if array.ndim == 1 else array
