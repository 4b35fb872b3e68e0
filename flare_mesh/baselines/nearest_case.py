"""Nearest training case."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch_geometric.data import Data

from flare_mesh.baselines.case_distance import CaseDistance
from flare_mesh.baselines.transfer import CaseTargets


class NearestCase:
    """Targets of the nearest training case, at the nearest nodes.

    :class:`~flare_mesh.baselines.case_distance.CaseDistance` says which case is the nearest.
    """

    def fit(self, cases: Sequence[Data]) -> None:
        self._distance = CaseDistance(cases)
        self._targets = [CaseTargets(case) for case in cases]

    def predict(self, case: Data) -> Tensor:
        nearest = int(self._distance(case).argmin())
        return torch.from_numpy(self._targets[nearest].at(case))
