"""Min-max normalisation."""

from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor

from flare_mesh.data.normalizers.normalizer import AffineNormalizer, parse_statistics
from flare_mesh.data.normalizers.statistics import FieldStatistics


class UnitCubeNormalizer(AffineNormalizer):
    """Maps the minimum of each channel to 0 and its maximum to 1 (min-max), or to ``limits``.

    ``(field - shift) / scale``. The channels of a group share the scale of the widest one, and the
    narrower ones are centred within the limits: a box of positions keeps its proportions, and
    rotations about its centre commute with the normalisation. Values beyond the bounds map beyond
    the limits.

    Args:
        channels: Number of channels C.
        groups: Sizes of the groups of channels that share a scale; see
            :class:`~flare_mesh.data.normalizers.normalizer.Normalizer`.
        limits: Images of minimum and maximum, such as (-1, 1), or (0, 1000) for sine embeddings.

    Shapes:
        [..., C] in and out.

    Raises:
        ValueError: If the groups do not add up to the channels, or the limits do not rise.
    """

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

    @classmethod
    def from_bounds(
        cls,
        minimum: Sequence[float] | Tensor,
        maximum: Sequence[float] | Tensor,
        *,
        groups: Sequence[int] | None = None,
        limits: tuple[float, float] = (0.0, 1.0),
    ) -> Self:
        """Normaliser with given minima and maxima, one per channel.

        Raises:
            ValueError: If their numbers differ, one is not finite, or a minimum is not below its
                maximum.
        """
        low, high = parse_statistics(cls.__name__, minimum=minimum, maximum=maximum)
        if not bool((low < high).all()):
            raise ValueError(
                f"{cls.__name__}: expected minima below the maxima (got {low.tolist()} and "
                f"{high.tolist()})"
            )
        normalizer = cls(len(low), groups=groups, limits=limits)
        normalizer._set_bounds(low, high)
        return normalizer

    def _set_statistics(self, statistics: FieldStatistics) -> None:
        self._set_bounds(statistics.minimum, statistics.maximum)

    def _set_bounds(self, low: Tensor, high: Tensor) -> None:
        start, stop = self.limits
        extent = self._per_group(high - low, torch.amax)
        varies = extent > self._smallest_scale(torch.maximum(low.abs(), high.abs()))
        scale = torch.where(varies, extent / (stop - start), 1.0)
        # Centre to centre, in a form that maps the bounds of a single channel exactly.
        spare = (extent - (high - low)) / 2
        shift = torch.where(varies, low - spare - start * scale, low - (start + stop) / 2 * scale)
        self._store(shift, scale)
