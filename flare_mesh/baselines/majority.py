"""The most frequent class as prediction."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def majority_accuracy(train: NDArray[Any], test: NDArray[Any]) -> tuple[int, float]:
    """The most frequent class of the training samples, and its share of the test samples.

    Args:
        train: Class of each training sample, integers from 0.
        test: Class of each test sample.

    Returns:
        The class, the smallest of equally frequent ones, and its share.

    Raises:
        ValueError: If there are no samples.
    """
    if not len(train) or not len(test):
        raise ValueError(
            f"majority_accuracy: expected training and test samples (got {len(train)} and "
            f"{len(test)})"
        )
    most = int(np.bincount(train).argmax())
    return most, float(np.mean(np.asarray(test) == most))
