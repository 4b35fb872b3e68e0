"""Between given limits, 0 and 1."""

from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor

from flare_mesh.data.normalizers.normalizer import Normalizer, given, store
from flare_mesh.data.normalizers.statistics import FieldStatistics


class UnitCubeNormalizer(Normalizer):
    """Maps each channel's smallest value to 0 and its largest to 1 (min-max), or to ``limits``.

    ``(field - shift) / scale``. The channels of a group share the scale of the widest, and the
    narrower ones lie in the middle of the limits: a box of positions keeps its proportions, and
    turns about its middle commute with the normalisation. Values beyond the bounds map beyond the
    limits.

    The statistics are buffers in float32: they move and are saved with the module.

    Args:
        channels: Number of channels C.
        groups: Numbers of channels that share a scale; see :class:`Normalizer`.
        limits: What the bounds are mapped to, as (-1, 1), or the (0, 1000) of sine embeddings.

    Shapes:
        [..., C] in and out.

    Raises:
        ValueError: If the groups do not add up to the channels, or the limits do not rise.
    """

    shift: Tensor
    scale: Tensor

    def __init__(
        self,
        channels: int,
        *,
        groups: Sequence[int] | None = None,
        limits: tuple[float, float] = (0.0, 1.0),
    ) -> None:
        super().__init__(channels, groups=groups)
        if not limits[0] < limits[1]:
            raise ValueError(f"UnitCubeNormalizer: expected limits that rise (got {limits})")
        self.limits = limits
        self.register_buffer("shift", torch.zeros(channels))
        self.register_buffer("scale", torch.ones(channels))

    @classmethod
    def from_bounds(
        cls,
        minimum: Sequence[float] | Tensor,
        maximum: Sequence[float] | Tensor,
        *,
        groups: Sequence[int] | None = None,
        limits: tuple[float, float] = (0.0, 1.0),
    ) -> Self:
        """The normaliser of a published recipe: smallest and largest value of each channel.

        Raises:
            ValueError: If they are not equally many and finite, or a channel's do not rise.
        """
        low, high = given(cls.__name__, minimum=minimum, maximum=maximum)
        if not bool((low < high).all()):
            raise ValueError(
                f"{cls.__name__}: expected minima below the maxima (got {low.tolist()} and "
                f"{high.tolist()})"
            )
        normalizer = cls(len(low), groups=groups, limits=limits)
        normalizer._use_bounds(low, high)
        return normalizer

    def _use(self, statistics: FieldStatistics) -> None:
        self._use_bounds(statistics.minimum, statistics.maximum)

    def _use_bounds(self, low: Tensor, high: Tensor) -> None:
        start, stop = self.limits
        extent = self._per_group(high - low, torch.amax)
        # What is below is rounding, of the values or of the buffer.
        tiny = torch.finfo(self.scale.dtype).tiny
        largest = torch.maximum(low.abs(), high.abs())
        floor = (1e-7 * self._per_group(largest, torch.amax)).clamp(min=tiny)
        scale = torch.where(extent > floor, extent / (stop - start), 1.0)
        # Middle to middle; written so that the bounds of a channel alone are met exactly.
        spare = (extent - (high - low)) / 2
        shift = torch.where(
            extent > floor, low - spare - start * scale, low - (start + stop) / 2 * scale
        )
        store(self.shift, shift, type(self).__name__)
        store(self.scale, scale, type(self).__name__)

    def forward(self, field: Tensor) -> Tensor:
        return (field - self.shift) / self.scale

    def inverse(self, field: Tensor) -> Tensor:
        return field * self.scale + self.shift
