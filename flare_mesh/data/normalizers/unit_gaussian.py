"""Standardisation to mean 0 and standard deviation 1."""

from collections.abc import Sequence

import torch

from flare_mesh.data.normalizers.normalizer import AffineNormalizer
from flare_mesh.data.normalizers.statistics import FieldStatistics


class UnitGaussianNormalizer(AffineNormalizer):
    """Standardises each channel to mean 0 and standard deviation 1, over nodes and cases.

    ``(field - shift) / scale`` with the mean as ``shift`` and the standard deviation as ``scale``.
    The channels of a group share the root of their mean variance, but each has its own mean. For
    positions this chooses the origin, about which rotations commute with the normalisation. For a
    vector field whose zero must stay zero take ``center=False``, which divides by the root mean
    square and commutes with every rotation. For published figures see
    :class:`~flare_mesh.data.normalizers.FixedNormalizer`.

    Args:
        channels: Number of channels C.
        groups: Sizes of the groups of channels that share a scale; see
            :class:`~flare_mesh.data.normalizers.normalizer.Normalizer`.
        center: Whether to subtract the mean.

    Shapes:
        [..., C] in and out.

    Raises:
        ValueError: If the groups do not add up to the channels.
    """

    def __init__(
        self, channels: int, *, groups: Sequence[int] | None = None, center: bool = True
    ) -> None:
        super().__init__(channels, groups=groups)
        self.center = center

    def _set_statistics(self, statistics: FieldStatistics) -> None:
        mean = statistics.mean if self.center else torch.zeros_like(statistics.mean)
        square = statistics.variance + (statistics.mean - mean) ** 2
        std = self._per_group(square, torch.mean).sqrt()
        self._store(mean, torch.where(std > self._smallest_scale(mean.abs()), std, 1.0))
