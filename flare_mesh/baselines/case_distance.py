"""Distance between cases."""

from collections.abc import Sequence

import numpy as np
from torch_geometric.data import Data

from flare_mesh.baselines.case_values import Array, Standardizer, inputs, positions, same_nodes


class CaseDistance:
    """Distance of a case to each training case.

    Where all cases have the same number of nodes, it is the distance of their input fields and
    coordinates, node by node. Otherwise it is that of the mean and deviation of each input and of
    the extents of the bounding boxes, each scaled by its deviation over the training cases.

    Args:
        cases: The training cases.
    """

    def __init__(self, cases: Sequence[Data]) -> None:
        self._nodes = len(cases[0]["pos"]) if same_nodes(cases) else None
        rows = np.stack([self._row(case) for case in cases])
        if self._nodes is not None:
            # Each channel has one scale over nodes and cases.
            channels = rows.reshape(-1, rows.shape[1] // self._nodes)
            scale = Standardizer(channels).scale
            self._scale = np.tile(scale, self._nodes)
        else:
            self._scale = Standardizer(rows).scale
        self._rows = rows * self._scale

    def __call__(self, case: Data) -> Array:
        """Distances [n]."""
        if self._nodes not in (None, len(case["pos"])):
            return np.zeros(len(self._rows))
        row = self._row(case) * self._scale
        return np.sqrt(np.square(self._rows - row).sum(1))

    def _row(self, case: Data) -> Array:
        x, pos = inputs(case), positions(case)
        if self._nodes is not None:
            return np.concatenate([x, pos], axis=1).ravel()
        return np.concatenate([x.mean(0), x.std(0), np.ptp(pos, axis=0)])
