"""Nearest training cases."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Data

from flare_mesh.baselines.case_distance import CaseDistance
from flare_mesh.baselines.transfer import CaseTargets


class NearestCase:
    """Mean of the targets of the nearest training cases, at the nearest nodes; by default of one.

    :class:`~flare_mesh.baselines.case_distance.CaseDistance` says which cases are the nearest.

    Args:
        neighbours: Number of cases.
    """

    def __init__(self, neighbours: int = 1) -> None:
        self.neighbours = neighbours

    def fit(self, cases: Sequence[Data]) -> None:
        self._distance = CaseDistance(cases)
        self._targets = [CaseTargets(case) for case in cases]

    def predict(self, case: Data) -> Tensor:
        nearest = np.argsort(self._distance(case), kind="stable")[: self.neighbours]
        found = sum(self._targets[i].at(case) for i in nearest) / len(nearest)
        return torch.from_numpy(np.asarray(found))
