"""Mean 0 and standard deviation 1."""

from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor

from flare_mesh.data.normalizers.normalizer import Normalizer, given, store
from flare_mesh.data.normalizers.statistics import FieldStatistics


class UnitGaussianNormalizer(Normalizer):
    """Shifts and scales each channel to mean 0 and standard deviation 1, over nodes and cases.

    ``(field - mean) / std``. The channels of a group share the root of their mean variance. Each
    keeps its own mean: for positions that is a choice of origin, about which turns commute with
    the normalisation; a vector field whose zero must stay zero (a turned field, its direction
    not known beforehand) wants ``center=False``, which divides by the root mean square about zero
    and commutes with every turn.

    The statistics are buffers in float32: they move and are saved with the module.

    Args:
        channels: Number of channels C.
        groups: Numbers of channels that share a scale; see :class:`Normalizer`.
        center: Whether :meth:`fit` subtracts the mean.

    Shapes:
        [..., C] in and out.

    Raises:
        ValueError: If the groups do not add up to the channels.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, channels: int, *, groups: Sequence[int] | None = None, center: bool = True
    ) -> None:
        super().__init__(channels, groups=groups)
        self.center = center
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("std", torch.ones(channels))

    @classmethod
    def from_statistics(cls, mean: Sequence[float] | Tensor, std: Sequence[float] | Tensor) -> Self:
        """The normaliser of a published recipe: mean and standard deviation of each channel.

        Raises:
            ValueError: If they are not equally many and finite, or a deviation is not positive.
        """
        means, stds = given(cls.__name__, mean=mean, std=std)
        if not bool((stds > 0).all()):
            raise ValueError(
                f"{cls.__name__}: expected positive deviations (got {stds.tolist()}); give 1 for "
                f"a channel that does not vary"
            )
        normalizer = cls(len(means))
        store(normalizer.mean, means, cls.__name__)
        store(normalizer.std, stds, cls.__name__)
        return normalizer

    def _use(self, statistics: FieldStatistics) -> None:
        mean = statistics.mean if self.center else torch.zeros_like(statistics.mean)
        square = statistics.variance + (statistics.mean - mean) ** 2
        std = self._per_group(square, torch.mean).sqrt()
        # What is below is rounding, of the values or of the buffer.
        tiny = torch.finfo(self.std.dtype).tiny
        floor = (1e-7 * self._per_group(mean.abs(), torch.amax)).clamp(min=tiny)
        store(self.mean, mean, type(self).__name__)
        store(self.std, torch.where(std > floor, std, 1.0), type(self).__name__)

    def forward(self, field: Tensor) -> Tensor:
        return (field - self.mean) / self.std

    def inverse(self, field: Tensor) -> Tensor:
        return field * self.std + self.mean
