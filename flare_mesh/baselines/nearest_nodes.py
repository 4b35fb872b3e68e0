"""Nearest nodes of all training cases."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from scipy.spatial import KDTree
from torch import Tensor
from torch_geometric.data import Data

from flare_mesh.baselines.case_values import targets
from flare_mesh.baselines.node_features import NodeFeatures


class NearestNodes:
    """Mean over the nearest nodes of all training cases, weighted by the inverse of the distance.

    The distance is that of :class:`~flare_mesh.baselines.node_features.NodeFeatures`.

    Args:
        neighbours: Number k of nodes.
        max_nodes: Number of training nodes that are searched, drawn if there are more.
    """

    def __init__(self, neighbours: int = 8, max_nodes: int = 200_000) -> None:
        self.neighbours = neighbours
        self.max_nodes = max_nodes

    def fit(self, cases: Sequence[Data]) -> None:
        self._features = NodeFeatures(cases)
        features = np.concatenate([self._features(case) for case in cases])
        values = np.concatenate([targets(case) for case in cases])
        if len(features) > self.max_nodes:
            drawn = np.random.default_rng(0).choice(len(features), self.max_nodes, replace=False)
            features, values = features[drawn], values[drawn]
        self._tree, self._values = KDTree(features), values

    def predict(self, case: Data) -> Tensor:
        # As a list, so that a single neighbour has a column too.
        nearest: Any = [*range(1, min(self.neighbours, len(self._values)) + 1)]
        distance, number = self._tree.query(self._features(case), k=nearest)
        # A node at no distance has all of the weight.
        weight = 1 / np.maximum(distance, 1e-12 * max(1.0, float(distance.max())))
        weight /= weight.sum(1, keepdims=True)
        return torch.from_numpy(np.einsum("nk,nkc->nc", weight, self._values[number]))
