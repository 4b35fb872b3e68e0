"""Points that two files have in common."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def place_in(points: NDArray[Any], others: NDArray[Any]) -> NDArray[np.int64]:
    """Row of ``others`` that equals each of ``points``: the last of several, -1 for none.

    Coordinates are equal only to the last bit: this joins files that tell of the same points.

    Args:
        points: Points [N, d].
        others: Points [M, d].
    """
    dtype = np.result_type(points, others)
    # Adding zero makes -0.0 and 0.0 the same bytes.
    both = np.concatenate([points, others]).astype(dtype) + dtype.type(0)
    rows = (
        np.ascontiguousarray(both).view(np.dtype((np.void, both.shape[1] * dtype.itemsize))).ravel()
    )
    _, group = np.unique(rows, return_inverse=True)
    last = np.full(int(group.max(initial=-1)) + 1, -1)
    last[group[len(points) :]] = np.arange(len(others))
    return last[group[: len(points)]]
