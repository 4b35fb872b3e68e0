"""Ridge regression between whole fields."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Data

from flare_mesh.baselines.baseline import UnsuitableError
from flare_mesh.baselines.case_values import (
    Array,
    Standardizer,
    inputs,
    positions,
    same_nodes,
    targets,
)

_PENALTIES = np.logspace(-8, 2, 41)  # times the mean eigenvalue


class Ridge:
    """Ridge regression from all inputs of a case to all of its targets, on meshes of equal size.

    The penalty is the same for all targets and has the smallest leave-one-out error. In the basis
    of the principal components of the inputs, the regression shrinks each of them on its own, so
    that no number of components has to be chosen; it is computed from the products of the cases,
    [n, n].
    """

    def fit(self, cases: Sequence[Data]) -> None:
        if not same_nodes(cases):
            raise UnsuitableError("the meshes have different numbers of nodes")
        if len(cases) < 3:
            raise UnsuitableError(f"expected at least 3 training cases (got {len(cases)})")
        self._nodes = len(cases[0]["pos"])
        raw = np.stack([_row(case) for case in cases])
        scale = Standardizer(raw.reshape(-1, raw.shape[1] // self._nodes)).scale
        self._scale = np.tile(scale, self._nodes)
        self._mean = raw.mean(0)
        self._inputs = (raw - self._mean) * self._scale
        if not self._inputs.any():
            raise UnsuitableError("all cases have the same inputs")
        y = np.stack([targets(case).ravel() for case in cases])
        self._shape, self._target_mean = targets(cases[0]).shape, y.mean(0)
        self._weights = self._solve(self._inputs @ self._inputs.T, y - self._target_mean)

    def _solve(self, products: Array, y: Array) -> Array:
        """Weights [n, N C] of the cases, with the penalty of the smallest leave-one-out error."""
        count = len(products)
        # Without the constant vector, whose share the mean has.
        basis = np.linalg.qr(np.column_stack([np.ones(count), np.eye(count)[:, 1:]]))[0][:, 1:]
        values, vectors = np.linalg.eigh(basis.T @ products @ basis)
        values, vectors = values.clip(0), basis @ vectors
        # Only the squared error of each case is needed, which the products of the targets give.
        goals = vectors.T @ (y @ y.T) @ vectors
        penalties, errors = _PENALTIES * values.mean(), []
        for penalty in penalties:
            rest = penalty / (values + penalty)
            squares = (((vectors * rest) @ goals) * (vectors * rest)).sum(1)
            # One minus the leverage of each case on its own prediction.
            free = (np.square(vectors) * rest).sum(1)
            errors.append((squares / np.square(free)).sum())
        best = penalties[int(np.argmin(errors))]
        return vectors @ ((vectors.T @ y) / (values + best)[:, None])

    def predict(self, case: Data) -> Tensor:
        if len(case["pos"]) != self._nodes:
            raise UnsuitableError("the meshes have different numbers of nodes")
        row = (_row(case) - self._mean) * self._scale
        found = (self._inputs @ row) @ self._weights + self._target_mean
        return torch.from_numpy(found.reshape(self._shape))


def _row(case: Data) -> Array:
    return np.concatenate([inputs(case), positions(case)], axis=1).ravel()
