"""Predictions of the test cases of a run."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from flare_mesh.mesh import MeshData
from flare_mesh.prediction import Prediction
from flare_mesh.surrogate import Surrogate
from flare_mesh.surrogate.calibrate import (
    DescribedPrediction,
    describe_predictions,
    spaced,
    step_channels,
)
from flare_mesh.training.data_module import FieldDataModule
from flare_mesh.training.run_results import RunResults
from flare_mesh.trusted_classes import trusting_code

MAX_NODES = 1_000_000
"""Largest number of nodes of the cases that are predicted for a report."""

MAX_VALUES = 200_000
"""Largest number of nodes whose values are kept for charts."""


@dataclass
class NodeSample:
    """Values at evenly spaced nodes of the test cases, and the unlikeness of the cases.

    Attributes:
        predicted: Predicted values of each field, [K, C].
        truth: True values of each field, [K, C].
        scores: Unlikeness of each case, and its kind; empty without a calibration.
        num_cases: Number of cases that were predicted.
    """

    predicted: dict[str, Tensor] = field(default_factory=dict)
    truth: dict[str, Tensor] = field(default_factory=dict)
    scores: dict[str, tuple[float, str]] = field(default_factory=dict)
    num_cases: int = 0


class RunCases:
    """The test cases of a run, which are read from its data, and predicted by its surrogate.

    Args:
        results: Results of the run.
        surrogate: Its surrogate.
        root: Folder of the data set; by default where it was in training.
        trust_code: Whether the configuration may name a data set outside this package.

    Raises:
        FileNotFoundError: If the data are not there.
        ValueError: If they cannot be used.
    """

    def __init__(
        self,
        results: RunResults,
        surrogate: Surrogate,
        *,
        root: str | Path | None = None,
        trust_code: bool = False,
    ) -> None:
        given = results.config.get("data")
        options: dict[str, Any] = dict(given) if isinstance(given, dict) else {}
        if root is not None:
            options["root"] = str(root)
        self.surrogate = surrogate
        self._channels = step_channels(surrogate)
        try:
            with trusting_code(trust_code):
                data = FieldDataModule(**options)
                data.edges = surrogate.model.uses_edges
                self.cases = data.cases("test")
        except TypeError as error:
            raise ValueError(
                f"{results.folder / 'config.yaml'}: its options of 'data' do not fit ({error})"
            ) from error
        self._numbers = {name: i for i, name in enumerate(self.cases.case_ids)}

    @property
    def names(self) -> list[str]:
        """Names of the cases."""
        return [*self._numbers]

    def sample(self) -> NodeSample:
        """Predict all cases, or evenly spaced ones if they have very many nodes."""
        found, kept = NodeSample(), {}
        each = max(1, MAX_VALUES // max(1, len(self.cases)))
        cases: Any = self.cases
        for one in describe_predictions(self.surrogate, spaced(cases, MAX_NODES)):
            found.num_cases += 1
            scores = self._scores(one)
            if scores:
                kind = max(scores, key=lambda name: scores[name])
                found.scores[str(one.case["case_id"])] = scores[kind], kind
            y = one.case.y
            assert isinstance(y, Tensor)
            step = -(-len(y) // each)
            for name, truth in self.surrogate.split_fields(y).items():
                pair = kept.setdefault(name, ([], []))
                pair[0].append(one.predicted[name][::step].float())
                pair[1].append(truth[::step].cpu().float())
        for name, (predicted, truth) in kept.items():
            found.predicted[name] = _rows(predicted, self._channels[name])
            found.truth[name] = _rows(truth, self._channels[name])
        return found

    def predict(self, name: str) -> Prediction:
        """Predict a case by its name, with its cells for pictures.

        A field has the name that it has in ``summary.json``.
        """
        number = self._numbers[name]
        case = self.cases[number]
        raw: Any = self.cases.dataset[self.cases.indices[number]]
        mesh = MeshData(case.pos)
        if isinstance(raw, MeshData) and len(raw.pos) == len(mesh.pos):
            mesh.cell_index, mesh.cell_type = raw.cell_index, raw.cell_type
        (found,) = describe_predictions(self.surrogate, [case])
        scores = self._scores(found)
        calibration = self.surrogate.calibration
        bands = {} if calibration is None else calibration.half_widths(found.predicted, scores)
        kind = max(scores, key=lambda key: scores[key]) if scores else ""
        assert isinstance(case.y, Tensor)
        first = next(iter(self.surrogate.fields))
        steps = found.predicted[first].shape[1] // self._channels[first]
        return Prediction(
            name,
            mesh,
            found.predicted,
            {key: values.cpu() for key, values in self.surrogate.split_fields(case.y).items()},
            self.surrogate.units,
            times=tuple(map(float, range(1, steps + 1))) if steps > 1 else (),
            band={key: values.cpu() for key, values in bands.items()},
            coverage=None if calibration is None else calibration.coverage,
            ood_score=scores[kind] if scores else None,
            ood_kind=kind,
        )

    def _scores(self, found: DescribedPrediction) -> dict[str, float]:
        calibration = self.surrogate.calibration
        return {} if calibration is None else calibration.scores(found.descriptors)

    def inputs(self, name: str) -> tuple[Tensor | None, Tensor, Tensor | None]:
        """Features and coordinates of a case as the model takes them, and its weights."""
        case = self.cases[self._numbers[name]]
        surrogate = self.surrogate
        pos, x = case.pos, case.x
        assert isinstance(pos, Tensor)
        features = None
        if isinstance(x, Tensor) and surrogate.x_normalizer.channels:
            seen = x if surrogate.rollout is None else surrogate.rollout.known(x)[-1]
            features = surrogate.x_normalizer(seen)
            if surrogate.scale is not None:
                features = surrogate.scale.hide_dropped(features)
        weight = case.weight if "weight" in case else None
        return features, surrogate.pos_normalizer(pos), weight


def _rows(parts: Sequence[Tensor], channels: int) -> Tensor:
    """Values [K, C] of all time steps of all cases."""
    return torch.cat([part.reshape(-1, channels) for part in parts])
