"""Statistics of the training cases, by which a surrogate normalises."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch_geometric.data import Data

from flare_mesh.data.normalizers import FieldStatistics
from flare_mesh.surrogate.rollout import Rollout
from flare_mesh.surrogate.training_range import TrainingRange


@dataclass(frozen=True)
class TrainingStatistics:
    """Statistics of some training cases, gathered in one pass and merged from several processes.

    Attributes:
        fields: Statistics of ``"pos"``, ``"x"`` and ``"y"``.
        training_range: Range of the cases; None if there are none.
    """

    fields: Mapping[str, FieldStatistics]
    training_range: TrainingRange | None

    @classmethod
    def gather(
        cls, cases: Iterable[Data], channels: Mapping[str, int], rollout: Rollout | None = None
    ) -> Self:
        """The statistics of cases with ``pos``, ``x`` and ``y``, each read once.

        Args:
            cases: The cases.
            channels: Channels of ``"pos"``, ``"x"`` and of ``"y"``, or of one step of y.
            rollout: The time steps of y, over which the statistics are taken together.
        """
        total = {key: FieldStatistics.empty(size) for key, size in channels.items()}
        ranges = []
        for case in cases:
            values = {"pos": case.pos, "x": case.x, "y": case.y}
            if rollout is not None:
                values["y"] = torch.cat(rollout.split(values["y"]))
            for key, size in channels.items():
                if size:
                    total[key] = total[key].merge(FieldStatistics.gather([values[key]], size))
            ranges.append(TrainingRange.from_case(case))
        return cls(total, TrainingRange.merge(ranges) if ranges else None)

    @classmethod
    def merge(cls, parts: Sequence["TrainingStatistics"]) -> Self:
        """The statistics of the cases of all parts."""
        first, *others = parts
        fields = {
            key: own.merge(*(part.fields[key] for part in others))
            for key, own in first.fields.items()
        }
        ranges = [part.training_range for part in parts if part.training_range is not None]
        return cls(fields, TrainingRange.merge(ranges) if ranges else None)
