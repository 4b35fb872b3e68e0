"""Statistics of the training cases, for the normalisers and the training range."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import Data

from flare_mesh.data.normalizers import FieldStatistics, Normalizer
from flare_mesh.surrogate.case_scale import CaseScale
from flare_mesh.surrogate.rollout import Rollout

Statistics = Mapping[str, FieldStatistics]


def gather_statistics(
    cases: Iterable[Data],
    normalizers: Mapping[str, Normalizer],
    rollout: Rollout | None = None,
    scale: CaseScale | None = None,
) -> dict[str, FieldStatistics]:
    """Gather statistics of training cases, each read once.

    Args:
        cases: Cases with ``pos``, ``x`` and ``y``.
        normalizers: Normalisers of ``"pos"``, ``"x"``, and ``"y"`` or one step of y.
        rollout: Time steps of y, whose statistics are gathered together.
        scale: Scale of each case, fitted.

    Returns:
        Statistics of ``"pos"``, ``"x"`` and ``"y"`` over the nodes, and of ``"num_nodes"`` and
        ``"extent"``, the size along each axis, over the cases. Where a normaliser is fitted to
        other values, y over its scale or a transform, those of ``"normalized_x"`` and so on.

    Raises:
        ValueError: If a value cannot be normalised; names the case.
    """
    channels = {key: normalizer.channels for key, normalizer in normalizers.items()}
    in_steps = rollout is not None and rollout.input_steps is not None
    if rollout is not None:
        channels["x"] += rollout.hidden_channels
    for key, normalizer in normalizers.items():
        other = scale is not None if key == "y" else key == "x" and in_steps
        if normalizer.has_transform or other:
            channels[f"normalized_{key}"] = normalizer.channels
    channels |= {"num_nodes": 1, "extent": channels["pos"]}
    total = {key: FieldStatistics.empty(size) for key, size in channels.items()}
    for number, case in enumerate(cases):
        pos, y = case.pos, case.y
        assert isinstance(pos, Tensor)
        if rollout is not None:
            assert isinstance(y, Tensor)
            y = torch.cat(rollout.split(y))
        values = {"pos": pos, "x": case.x, "y": y}
        for key, normalizer in normalizers.items():
            if channels.get(f"normalized_{key}"):
                field: Any = values[key]
                if key == "y" and scale is not None:
                    field = field / scale(case.x)
                if key == "x" and in_steps and rollout is not None:
                    assert isinstance(case.y, Tensor)
                    field = torch.cat(rollout.along(field, case.y))
                normalizer.check(field, f"case '{case.get('case_id', number)}', {key}")
                values[f"normalized_{key}"] = normalizer.transform(field)
        values["num_nodes"] = torch.tensor([[len(pos)]])
        values["extent"] = (pos.amax(0) - pos.amin(0))[None]
        for key, size in channels.items():
            if size:
                total[key] = total[key].merge(FieldStatistics.gather([values[key]], size))
    return total


def merge_statistics(parts: Sequence[Statistics]) -> dict[str, FieldStatistics]:
    """Merge the statistics of several processes, each of its own cases."""
    first, *others = parts
    return {key: own.merge(*(part[key] for part in others)) for key, own in first.items()}
