"""Mean of training cases."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Data

from flare_mesh.baselines.case_distance import CaseDistance
from flare_mesh.baselines.case_values import positions, same_nodes, targets
from flare_mesh.baselines.transfer import CaseTargets


class TrainingMean:
    """Mean over the training cases at each node; on meshes that differ, over the nearest cases.

    Args:
        neighbours: Number of nearest cases on meshes that differ.
    """

    def __init__(self, neighbours: int = 5) -> None:
        self.neighbours = neighbours

    def fit(self, cases: Sequence[Data]) -> None:
        first = positions(cases[0])
        self._mean = None
        if same_nodes(cases) and all(np.allclose(positions(case), first) for case in cases[1:]):
            self._mean = sum(targets(case) for case in cases) / len(cases)
            self._nodes = first
            return
        self._distance = CaseDistance(cases)
        self._targets = [CaseTargets(case) for case in cases]

    def predict(self, case: Data) -> Tensor:
        if self._mean is None:
            nearest = np.argsort(self._distance(case), kind="stable")[: self.neighbours]
            found = sum(self._targets[i].at(case) for i in nearest) / len(nearest)
        else:
            found = self._mean
        return torch.from_numpy(np.asarray(found))
