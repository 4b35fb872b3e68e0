"""Normaliser that changes nothing."""

from collections.abc import Iterable
from typing import Self

from torch import Tensor

from flare_mesh.data.normalizers.normalizer import Normalizer
from flare_mesh.data.normalizers.statistics import FieldStatistics


class IdentityNormalizer(Normalizer):
    """Returns values unchanged.

    Args:
        channels: Number of channels C.
        groups: Accepted as by the other normalisers, without effect.

    Shapes:
        [..., C] in and out.
    """

    def fit(self, fields: Iterable[Tensor], weights: Iterable[Tensor] | None = None) -> Self:
        """Return the normaliser as it is; the fields are not read."""
        return self

    def _set_statistics(self, statistics: FieldStatistics) -> None:
        pass

    def forward(self, field: Tensor) -> Tensor:
        return field

    def inverse(self, field: Tensor) -> Tensor:
        return field
