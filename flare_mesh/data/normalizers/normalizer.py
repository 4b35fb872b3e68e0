"""What all normalisers share."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn

from flare_mesh.data.normalizers.statistics import FieldStatistics


class Normalizer(nn.Module, ABC):
    """Shifts and scales channels by statistics of the training split.

    The statistics are buffers: they move with the module and are saved with it. What is computed
    with them is affine, channel by channel, so it holds for [N, C] as for [..., C].

    Args:
        channels: Number of channels C.
        groups: Numbers of channels that belong together, in their order, as ``[3, 1]`` for a
            vector and a scalar side by side; None for C scalars. The channels of a group share one
            scale, so that lengths and angles of a vector survive, and a turned field is scaled as
            the field itself.

    Raises:
        ValueError: If the groups do not add up to the channels.
    """

    def __init__(self, channels: int, *, groups: Sequence[int] | None = None) -> None:
        super().__init__()
        if groups is None:
            groups = [1] * channels
        if sum(groups) != channels or any(size < 1 for size in groups):
            raise ValueError(
                f"{type(self).__name__}: expected groups of at least one channel that add up to "
                f"{channels} (got {list(groups)})"
            )
        self.channels = channels
        self.groups = tuple(groups)

    def fit(self, fields: Iterable[Tensor], weights: Iterable[Tensor] | None = None) -> Self:
        """Fits the statistics over all nodes of all ``fields`` [N, C], in one pass.

        A case is in memory only while it is read. A channel (or group) that does not vary keeps
        its scale.

        Args:
            fields: One tensor a case.
            weights: Weights [N] of each case's nodes, as many as fields; None weighs all alike.

        Raises:
            ValueError: If there is no node, a value is not finite, or shapes do not fit.
        """
        return self.set_statistics(FieldStatistics.gather(fields, self.channels, weights))

    def set_statistics(self, statistics: FieldStatistics) -> Self:
        """Takes statistics that were gathered elsewhere, for example merged from shards.

        Raises:
            ValueError: If they are those of no node, or of another number of channels.
        """
        if len(statistics.mean) != self.channels:
            raise ValueError(
                f"{type(self).__name__}: expected statistics of {self.channels} channels (got "
                f"{len(statistics.mean)})"
            )
        if not statistics.weight > 0:
            raise ValueError(
                "expected at least one node to fit the normaliser (got none, or no weight)"
            )
        self._use(statistics)
        return self

    @abstractmethod
    def _use(self, statistics: FieldStatistics) -> None: ...

    def _per_group(self, values: Tensor, reduce: Any) -> Tensor:
        """Reduces values [C] over each group and gives every channel its group's result."""
        parts = values.split(self.groups)
        return torch.cat([reduce(part).expand(len(part)) for part in parts]) if parts else values

    @abstractmethod
    def forward(self, field: Tensor) -> Tensor:
        """Physical values to normalised ones."""

    @abstractmethod
    def inverse(self, field: Tensor) -> Tensor:
        """Normalised values to physical ones."""

    def extra_repr(self) -> str:
        grouped = any(size > 1 for size in self.groups)
        return f"{self.channels}" + (f", groups={list(self.groups)}" if grouped else "")


def store(buffer: Tensor, values: Tensor, name: str) -> None:
    """Copies statistics into a buffer.

    Raises:
        ValueError: If they do not fit its precision.
    """
    buffer.copy_(values)
    if not bool(buffer.isfinite().all()):
        raise ValueError(f"{name}: the statistics {values.tolist()} do not fit {buffer.dtype}")


def given(name: str, **values: Sequence[float] | Tensor) -> list[Tensor]:
    """Statistics that a user gives, as float64 tensors [C].

    Raises:
        ValueError: If they are not equally long, or not finite.
    """
    rows = [torch.as_tensor(row, dtype=torch.float64).reshape(-1) for row in values.values()]
    if len({len(row) for row in rows}) > 1 or not all(bool(r.isfinite().all()) for r in rows):
        got = {key: row.tolist() for key, row in zip(values, rows, strict=True)}
        raise ValueError(f"{name}: expected finite statistics, one a channel (got {got})")
    return rows
