"""Base classes of the normalisers."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn

from flare_mesh.data.normalizers.statistics import FieldStatistics


class Normalizer(nn.Module, ABC):
    """Base of the normalisers: an invertible map of each channel.

    Args:
        channels: Number of channels C.
        groups: Sizes of the groups of consecutive channels that share one scale, such as
            ``[3, 1]`` for a vector and a scalar; None for C scalars. A shared scale preserves the
            angles and relative lengths of a vector, and commutes with rotations.

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
        """Fit the statistics over all nodes of all ``fields`` [N, C], in one pass.

        Holds one case in memory at a time. A constant channel (or group) is not scaled.

        Args:
            fields: One tensor per case.
            weights: Weights [N] of the nodes of each case; None for equal weights.

        Raises:
            ValueError: If there is no node, a value is not finite, or shapes do not fit.
        """
        values = (self._checked(field, number) for number, field in enumerate(fields))
        return self.set_statistics(FieldStatistics.gather(values, self.channels, weights))

    def _checked(self, field: Tensor, number: int) -> Tensor:
        self.check(field, f"case {number}")
        return self.transform(field)

    def transform(self, field: Tensor) -> Tensor:
        """The values [..., C] whose statistics fit the normaliser; the field itself by default."""
        return field

    @property
    def has_transform(self) -> bool:
        """Whether the statistics are those of other values than the field's."""
        return type(self).transform is not Normalizer.transform

    def check(self, field: Tensor, name: str) -> None:
        """Refuse a field with values that cannot be normalised, which ``name`` begins to describe.

        Raises:
            ValueError: If it has some.
        """

    def set_statistics(self, statistics: FieldStatistics) -> Self:
        """Use statistics of :meth:`transform` gathered elsewhere, for example merged from shards.

        Raises:
            ValueError: If they have no node, or another number of channels.
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
        self._set_statistics(statistics)
        return self

    @abstractmethod
    def _set_statistics(self, statistics: FieldStatistics) -> None: ...

    @abstractmethod
    def forward(self, field: Tensor) -> Tensor:
        """Normalised values of physical ones."""

    @abstractmethod
    def inverse(self, field: Tensor) -> Tensor:
        """Physical values of normalised ones."""

    def extra_repr(self) -> str:
        grouped = any(size > 1 for size in self.groups)
        return f"{self.channels}" + (f", groups={list(self.groups)}" if grouped else "")


class AffineNormalizer(Normalizer):
    """Base of the normalisers ``(field - shift) / scale``.

    ``shift`` [C] and ``scale`` [C] are buffers in float32: they move and are saved with the module.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, channels: int, *, groups: Sequence[int] | None = None) -> None:
        super().__init__(channels, groups=groups)
        self.register_buffer("shift", torch.zeros(channels))
        self.register_buffer("scale", torch.ones(channels))

    def forward(self, field: Tensor) -> Tensor:
        return (field - self.shift) / self.scale

    def inverse(self, field: Tensor) -> Tensor:
        return field * self.scale + self.shift

    def _store(self, shift: Tensor, scale: Tensor) -> None:
        for buffer, values in ((self.shift, shift), (self.scale, scale)):
            buffer.copy_(values)
            if not bool(buffer.isfinite().all()):
                raise ValueError(
                    f"{type(self).__name__}: the statistics {values.tolist()} do not fit "
                    f"{buffer.dtype}"
                )

    def _per_group(self, values: Tensor, reduce: Any) -> Tensor:
        """Reduce values [C] over each group, and expand the results to the channels."""
        parts = values.split(self.groups)
        return torch.cat([reduce(part).expand(len(part)) for part in parts]) if parts else values

    def _smallest_scale(self, magnitude: Tensor) -> Tensor:
        """Scale [C] below which values of this magnitude vary by rounding alone."""
        tiny = torch.finfo(self.scale.dtype).tiny
        return (1e-7 * self._per_group(magnitude, torch.amax)).clamp(min=tiny)


def parse_statistics(name: str, **values: Sequence[float] | Tensor) -> list[Tensor]:
    """Statistics given by a user, as float64 tensors [C].

    Raises:
        ValueError: If their lengths differ, or they are not finite.
    """
    rows = [torch.as_tensor(row, dtype=torch.float64).reshape(-1) for row in values.values()]
    if len({len(row) for row in rows}) > 1 or not all(bool(r.isfinite().all()) for r in rows):
        got = {key: row.tolist() for key, row in zip(values, rows, strict=True)}
        raise ValueError(f"{name}: expected finite statistics, one per channel (got {got})")
    return rows
