"""Values of cases as arrays."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch_geometric.data import Data

Array = NDArray[np.float64]


def inputs(case: Data) -> Array:
    """Input fields of a case, [N, F]; no columns without inputs."""
    pos = _array(case, "pos")
    return _array(case, "x") if case.x is not None else np.empty((len(pos), 0))


def positions(case: Data) -> Array:
    """Coordinates of a case, [N, d]."""
    return _array(case, "pos")


def targets(case: Data) -> Array:
    """Targets of a case, [N, C]."""
    return _array(case, "y")


def relative_positions(case: Data) -> tuple[Array, Array]:
    """Coordinates in the bounding box of the case, from 0 to 1, and the extents of the box, [d].

    In a direction without extent the coordinate is 0.
    """
    pos = positions(case)
    low, extents = pos.min(0), np.ptp(pos, axis=0)
    return (pos - low) / np.where(extents > 0, extents, 1), extents


def same_nodes(cases: Sequence[Data]) -> bool:
    """Whether all cases have the same number of nodes, so that nodes may correspond."""
    return len({len(case["pos"]) for case in cases}) == 1


def _array(case: Data, key: str) -> Array:
    return case[key].numpy(force=True).astype(np.float64)


class Standardizer:
    """Columns with mean 0 and deviation 1; constant columns become 0.

    Args:
        values: [n, d].
    """

    def __init__(self, values: Array) -> None:
        self.mean = values.mean(0)
        deviation = values.std(0)
        # Rounding makes a constant column vary a little.
        constant = deviation <= 1e-9 * np.abs(values).max(0, initial=0)
        self.scale = np.where(constant, 0, 1 / np.where(constant, 1, deviation))

    def __call__(self, values: Array) -> Array:
        return (values - self.mean) * self.scale
