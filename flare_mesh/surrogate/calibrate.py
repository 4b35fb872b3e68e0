"""Calibration of a surrogate on held-out cases."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from torch import Tensor
from torch_geometric.data import Data

from flare_mesh.data.splits import spaced_indices
from flare_mesh.uncertainty import Calibration, LatentMoments, Unlikeness
from flare_mesh.uncertainty.calibration import DIFFICULTY, case_difficulty
from flare_mesh.uncertainty.case_descriptor import describe_case
from flare_mesh.uncertainty.conformal_quantile import MIN_CASES
from flare_mesh.uncertainty.fit_band import CaseErrors, case_errors, fit_band
from flare_mesh.uncertainty.unlikeness import node_resolution, stack_descriptors

if TYPE_CHECKING:
    from flare_mesh.surrogate.surrogate import Surrogate

# Largest numbers of nodes to predict: training cases, and held-out cases.
_MAX_TRAINING_NODES, MAX_NODES = 1_000_000, 5_000_000
_MIN_KEPT, _MAX_KEPT = 32, 2_000  # cases, however large or small
_NODES_PER_BATCH, _CASES_PER_BATCH = 16_384, 8


class DescribedPrediction(NamedTuple):
    """Prediction of a case.

    Attributes:
        case: The case.
        predicted: Fields by name, on the CPU.
        descriptors: See :func:`~flare_mesh.uncertainty.case_descriptor.describe_case`.
    """

    case: Data
    predicted: dict[str, Tensor]
    descriptors: dict[str, Tensor]


def calibrate(
    surrogate: "Surrogate", cases: Sequence[Data], training: Sequence[Data], coverage: float
) -> Calibration:
    """Bands and distances, see :meth:`flare_mesh.Surrogate.calibrate`."""
    if len(cases) < MIN_CASES:
        raise ValueError(
            f"calibrate: expected at least {MIN_CASES} held-out cases (got {len(cases)}); hold out "
            f"more, for example by data.val_split=0.2"
        )
    if not 0 < coverage < 1:
        raise ValueError(f"coverage: expected a share between 0 and 1 (got {coverage})")
    held_out = _evaluate(surrogate, cases, MAX_NODES)
    # Their errors tell only whether errors grow with the fields, so that one evaluation is enough.
    with surrogate.without_average():
        known = _evaluate(surrogate, training, _MAX_TRAINING_NODES)
    unlikeness = _unlikeness(
        [one.descriptors for one in known or held_out], [one.descriptors for one in held_out]
    )
    # Distances of held-out cases to themselves would be smaller than those of new cases.
    kind = DIFFICULTY if known and DIFFICULTY in unlikeness else None
    difficulties = [
        1.0 if kind is None else case_difficulty(unlikeness[kind].score(one.descriptors[kind]))
        for one in held_out
    ]
    channels = step_channels(surrogate)
    scale = surrogate.y_scale.double().cpu()
    sizes = surrogate.fields if surrogate.rollout is None else surrogate.rollout.step_fields
    magnitudes = zip(sizes, scale.split([*sizes.values()]), strict=True)
    bands = {
        name: fit_band(
            [
                one.errors[name]._replace(difficulty=difficulty)
                for one, difficulty in zip(held_out, difficulties, strict=True)
            ],
            channels[name],
            float(y[0]) * channels[name] ** 0.5,
            coverage,
            training=[one.errors[name] for one in known],
        )
        for name, y in magnitudes
    }
    return Calibration(coverage, len(held_out), bands, unlikeness, kind)


class _EvaluatedCase(NamedTuple):
    """Errors of each field on a case, and its descriptors."""

    errors: dict[str, CaseErrors]
    descriptors: dict[str, Tensor]


def _evaluate(
    surrogate: "Surrogate", cases: Sequence[Data], max_nodes: int
) -> list[_EvaluatedCase]:
    channels, count = step_channels(surrogate), len(_spaced_indices(cases, max_nodes))
    found = []
    for case, predicted, descriptors in describe_predictions(surrogate, spaced(cases, max_nodes)):
        assert isinstance(case.y, Tensor)
        errors = {}
        for name, target in surrogate.split_fields(case.y).items():
            one = case_errors(predicted[name], target.cpu(), channels[name], count=count)
            if not bool(one.errors.isfinite().all()):
                raise ValueError(
                    f"calibrate: the prediction or the truth of '{name}' in the case "
                    f"'{case.get('case_id', '')}' is not finite"
                )
            errors[name] = one
        found.append(_EvaluatedCase(errors, descriptors))
    return found


def _unlikeness(
    training: Sequence[Mapping[str, Tensor]], held_out: Sequence[Mapping[str, Tensor]]
) -> dict[str, Unlikeness]:
    found = {}
    for kind in training[0]:
        rows, others = (stack_descriptors(part, kind) for part in (training, held_out))
        if training is held_out:
            others = others[:0]
        options = () if kind == "shape" else (node_resolution(rows),)
        found[kind] = Unlikeness.fit(rows, others, *options)
    return found


def describe_predictions(
    surrogate: "Surrogate", cases: Iterable[Data]
) -> Iterator[DescribedPrediction]:
    """Predict cases in batches, as long as the targets of time series, and describe them."""
    batch: list[Data] = []
    nodes = 0
    for case in cases:
        assert isinstance(case.pos, Tensor)
        size = len(case.pos)
        full = len(batch) == _CASES_PER_BATCH or nodes + size > _NODES_PER_BATCH
        if batch and (full or _num_steps(surrogate, batch[0]) != _num_steps(surrogate, case)):
            yield from predict_described(surrogate, batch, _num_steps(surrogate, batch[0]))
            batch, nodes = [], 0
        batch.append(case)
        nodes += size
    if batch:
        yield from predict_described(surrogate, batch, _num_steps(surrogate, batch[0]))


def predict_described(
    surrogate: "Surrogate", cases: Sequence[Data], num_steps: int | None = None
) -> list[DescribedPrediction]:
    """Predict cases in one batch, and describe them in the same pass.

    Args:
        surrogate: The surrogate.
        cases: Cases after :meth:`Surrogate.prepare`.
        num_steps: As in :meth:`Surrogate.forward`.
    """
    sizes = [len(case["pos"]) for case in cases]
    weights = [case.weight if "weight" in case else None for case in cases]
    with LatentMoments(surrogate.model, sizes, weights) as latent:
        found = surrogate.predict_prepared(cases, num_steps=num_steps)
    every = [{name: values.cpu() for name, values in one.items()} for one in found]
    return [
        DescribedPrediction(case, predicted, describe_case(case, latent.moments(number)))
        for number, (case, predicted) in enumerate(zip(cases, every, strict=True))
    ]


def step_channels(surrogate: "Surrogate") -> dict[str, int]:
    """Channels of each field in one time step."""
    if surrogate.rollout is not None:
        return surrogate.rollout.step_fields
    window = surrogate.info.get("recipe", {}).get("window")
    steps = 1 if window is None else int(window[1])
    return {name: size // steps for name, size in surrogate.fields.items()}


def spaced(cases: Sequence[Data], max_nodes: int) -> Iterator[Data]:
    """All cases, or evenly spaced ones of very many, or of cases with too many nodes together.

    The number of nodes of a case is that of the first.
    """
    for i in _spaced_indices(cases, max_nodes):
        yield cases[i]


def _spaced_indices(cases: Sequence[Data], max_nodes: int) -> list[int]:
    if not len(cases):
        return []
    limit = max(_MIN_KEPT, max_nodes // max(1, len(cases[0]["pos"])))
    return spaced_indices(len(cases), min(limit, _MAX_KEPT))


def _num_steps(surrogate: "Surrogate", case: Data) -> int | None:
    if surrogate.rollout is None or not isinstance(case.y, Tensor):
        return None
    return len(surrogate.rollout.split(case.y))
