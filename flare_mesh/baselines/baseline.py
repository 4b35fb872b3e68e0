"""Interface of the baselines."""

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor
from torch_geometric.data import Data


class UnsuitableError(ValueError):
    """The data are not of the kind that a baseline is made for."""


class Baseline(Protocol):
    """A prediction of ``y`` from training cases, without a surrogate.

    A case has ``pos`` [N, d], ``y`` [N, C] and, if there are inputs, ``x`` [N, F].
    """

    def fit(self, cases: Sequence[Data]) -> None:
        """Learn from the training cases.

        Raises:
            UnsuitableError: If the cases are not of the kind that the baseline is made for.
        """
        ...

    def predict(self, case: Data) -> Tensor:
        """Prediction of ``y``, [N, C].

        Raises:
            UnsuitableError: If the case is not of the kind of the training cases.
        """
        ...
