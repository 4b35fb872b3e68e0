"""Points that two files have in common."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def match_points(points: NDArray[Any], others: NDArray[Any]) -> NDArray[np.int64]:
    """Row of ``others`` that equals each of ``points``: the last of several, -1 for none.

    Compares coordinates exactly, without a tolerance.

    Args:
        points: Points [N, d].
        others: Points [M, d].
    """
    _, group = np.unique(np.concatenate([points, others]), axis=0, return_inverse=True)
    group = group.reshape(-1)
    last = np.full(int(group.max(initial=-1)) + 1, -1)
    last[group[len(points) :]] = np.arange(len(others))
    return last[group[: len(points)]]
