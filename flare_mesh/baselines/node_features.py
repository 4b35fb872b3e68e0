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
        standardize: Makes features standard; :meth:`fit` fits it.
    """

    def __init__(self, standardize: Standardizer) -> None:
        self._standardize = standardize

    @classmethod
    def fit(cls, cases: Sequence[Data]) -> "tuple[NodeFeatures, Array]":
        """Fit to training cases; returns the features of all their nodes too, [N, F].

        Args:
            cases: The training cases.
        """
        raw = np.concatenate([_raw(case) for case in cases])
        standardize = Standardizer(raw)
        return cls(standardize), standardize(raw)

    def __call__(self, case: Data) -> Array:
        """Features [N, F]."""
        return self._standardize(_raw(case))


def _raw(case: Data) -> Array:
    relative, extents = relative_positions(case)
    box = np.broadcast_to(extents, relative.shape)
    return np.concatenate([inputs(case), positions(case), relative, box], axis=1)
