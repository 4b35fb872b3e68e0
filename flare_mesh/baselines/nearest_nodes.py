"""Nearest nodes of all training cases."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Data

from flare_mesh.baselines.case_values import Array, targets
from flare_mesh.baselines.node_features import NodeFeatures

_PAIRS = 20_000_000  # distances that are computed at a time
# Nearest by distances in float32, of which the nearest in float64 are taken.
_CANDIDATES = 8


class NearestNodes:
    """Mean over the nearest nodes of all training cases, weighted by the inverse of the distance.

    The distance is that of :class:`~flare_mesh.baselines.node_features.NodeFeatures`. All distances
    are computed, since trees do not help in so many dimensions.

    Args:
        neighbours: Number k of nodes.
        max_nodes: Number of training nodes that are searched, drawn if there are more.
    """

    def __init__(self, neighbours: int = 8, max_nodes: int = 20_000) -> None:
        self.neighbours = neighbours
        self.max_nodes = max_nodes

    def fit(self, cases: Sequence[Data]) -> None:
        self._features, features = NodeFeatures.fit(cases)
        values = np.concatenate([targets(case) for case in cases])
        if len(features) > self.max_nodes:
            drawn = np.random.default_rng(0).choice(len(features), self.max_nodes, replace=False)
            features, values = features[drawn], values[drawn]
        self._nodes, self._values = features, values
        self._single = torch.from_numpy(features).float()
        self._squares = self._single.square().sum(1)

    def predict(self, case: Data) -> Tensor:
        features = self._features(case)
        rows = max(1, _PAIRS // len(self._nodes))
        found = [self._mean(features[i : i + rows]) for i in range(0, len(features), rows)]
        return torch.from_numpy(np.concatenate(found))

    def _mean(self, features: Array) -> Array:
        count = min(self.neighbours, len(self._nodes))
        single = torch.from_numpy(features).float()
        # Without the squares of the features, which are the same for all nodes.
        distances = torch.addmm(self._squares, single, self._single.T, alpha=-2)
        candidates = min(count + _CANDIDATES, len(self._nodes))
        number = distances.topk(candidates, largest=False, sorted=False).indices.numpy()
        distance = np.linalg.norm(self._nodes[number] - features[:, None], axis=2)
        nearest = distance.argsort(axis=1)[:, :count]
        distance = np.take_along_axis(distance, nearest, axis=1)
        number = np.take_along_axis(number, nearest, axis=1)
        # A node at no distance has all of the weight.
        weight = 1 / np.maximum(distance, 1e-12 * max(1.0, float(distance.max())))
        weight /= weight.sum(1, keepdims=True)
        return np.einsum("nk,nkc->nc", weight, self._values[number])
