"""Predictions of a test, kept for the report of its bands."""

from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch_geometric.data import Data

from flare_mesh.surrogate.calibrate import MAX_NODES, DescribedPrediction
from flare_mesh.surrogate.surrogate import Surrogate
from flare_mesh.uncertainty import LatentMoments
from flare_mesh.uncertainty.case_descriptor import describe_case


class PredictionRecord:
    """Predictions of the cases of a test, so that its bands need no second prediction.

    Args:
        max_nodes: Largest number of nodes of all cases together, beyond which none is kept.

    Attributes:
        cases: The predictions in the order of the test, each with its case's ``y`` alone.
    """

    def __init__(self, max_nodes: int = MAX_NODES) -> None:
        self.cases: list[DescribedPrediction] = []
        self._nodes_left = max_nodes

    def predict(self, surrogate: Surrogate, batch: Any, predict: Callable[[Any], Tensor]) -> Tensor:
        """Predict a batch by a function, and keep the result by case.

        Args:
            surrogate: The surrogate whose model the function evaluates.
            batch: A PyG batch of cases with ``y``.
            predict: Maps the batch to its prediction of y, [N, C].
        """
        given = [batch.get_example(number) for number in range(batch.num_graphs)]
        sizes = [len(case["pos"]) for case in given]
        self._nodes_left -= sum(sizes)
        if self._nodes_left < 0:
            self.cases = []
            return predict(batch)
        weights = [case.weight if "weight" in case else None for case in given]
        with LatentMoments(surrogate.model, sizes, weights) as latent:
            y = predict(batch)
        for number, (case, part) in enumerate(zip(given, y.split(sizes), strict=True)):
            fields = {name: field.cpu() for name, field in surrogate.split_fields(part).items()}
            descriptors = describe_case(case, latent.moments(number))
            self.cases.append(DescribedPrediction(Data(y=case.y), fields, descriptors))
        return y
