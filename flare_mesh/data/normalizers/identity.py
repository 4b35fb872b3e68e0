"""Values as they are."""

from collections.abc import Iterable
from typing import Self

from torch import Tensor

from flare_mesh.data.normalizers.normalizer import Normalizer
from flare_mesh.data.normalizers.statistics import FieldStatistics


class IdentityNormalizer(Normalizer):
    """Leaves values as they are, in the place of a normaliser that changes them.

    Args:
        channels: Number of channels C.
        groups: As the other normalisers take them.

    Shapes:
        [..., C] in and out.
    """

    def fit(self, fields: Iterable[Tensor], weights: Iterable[Tensor] | None = None) -> Self:
        """There is nothing to fit: the fields are not read."""
        return self

    def _use(self, statistics: FieldStatistics) -> None:
        pass

    def forward(self, field: Tensor) -> Tensor:
        return field

    def inverse(self, field: Tensor) -> Tensor:
        return field
