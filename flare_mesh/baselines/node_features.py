"""Features of a node for predictions node by node."""

from collections.abc import Sequence

import numpy as np
from torch_geometric.data import Data

from flare_mesh.baselines.case_values import (
    Array,
    Standardizer,
    inputs,
    positions,
    relative_positions,
)


class NodeFeatures:
    """Inputs of a node, its coordinates, those in the bounding box, and the extents of the box.

    Each is standardised over the nodes of the training cases.

    Args:
        cases: The training cases.
    """

    def __init__(self, cases: Sequence[Data]) -> None:
        self._standardize = Standardizer(np.concatenate([self._raw(case) for case in cases]))

    def __call__(self, case: Data) -> Array:
        """Features [N, F]."""
        return self._standardize(self._raw(case))

    def _raw(self, case: Data) -> Array:
        relative, extents = relative_positions(case)
        box = np.broadcast_to(extents, relative.shape)
        return np.concatenate([inputs(case), positions(case), relative, box], axis=1)
