"""Statistics of the training cases, for the normalisers and the training range."""

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor
from torch_geometric.data import Data

from flare_mesh.data.normalizers import FieldStatistics
from flare_mesh.surrogate.case_scale import CaseScale
from flare_mesh.surrogate.rollout import Rollout

Statistics = Mapping[str, FieldStatistics]


def gather_statistics(
    cases: Iterable[Data],
    channels: Mapping[str, int],
    rollout: Rollout | None = None,
    scale: CaseScale | None = None,
) -> dict[str, FieldStatistics]:
    """Gather statistics of training cases, each read once.

    Args:
        cases: Cases with ``pos``, ``x`` and ``y``.
        channels: Channels of ``"pos"``, ``"x"``, and ``"y"`` or one step of y.
        rollout: Time steps of y, whose statistics are gathered together.
        scale: Scale of each case, fitted.

    Returns:
        Statistics of ``"pos"``, ``"x"`` and ``"y"`` over the nodes, with a scale also of
        ``"normalized_y"``, y over its scale; and of ``"num_nodes"`` and ``"extent"``, the size
        along each axis, over the cases.
    """
    if scale is not None:
        channels = {**channels, "normalized_y": channels["y"]}
    channels = {**channels, "num_nodes": 1, "extent": channels["pos"]}
    total = {key: FieldStatistics.empty(size) for key, size in channels.items()}
    for case in cases:
        pos, y = case.pos, case.y
        assert isinstance(pos, Tensor)
        if rollout is not None:
            assert isinstance(y, Tensor)
            y = torch.cat(rollout.split(y))
        values = {"pos": pos, "x": case.x, "y": y}
        if scale is not None:
            values["normalized_y"] = y / scale(case.x)
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
