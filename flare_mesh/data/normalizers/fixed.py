"""Normaliser with a given shift and scale."""

from collections.abc import Iterable, Sequence
from typing import Self

from torch import Tensor

from flare_mesh.data.normalizers.normalizer import AffineNormalizer, parse_statistics
from flare_mesh.data.normalizers.statistics import FieldStatistics


class FixedNormalizer(AffineNormalizer):
    """``(field - shift) / scale`` with given, for example published, figures.

    Args:
        channels: Number of channels C.
        groups: Accepted as by the other normalisers, without effect.
        shift: One number per channel; zeros by default.
        scale: One positive number per channel; ones by default.

    Shapes:
        [..., C] in and out.

    Raises:
        ValueError: If there are not C finite numbers, or a scale is not positive.
    """

    def __init__(
        self,
        channels: int,
        *,
        groups: Sequence[int] | None = None,
        shift: Sequence[float] | None = None,
        scale: Sequence[float] | None = None,
    ) -> None:
        super().__init__(channels, groups=groups)
        shifts, scales = parse_statistics(
            type(self).__name__,
            shift=[0.0] * channels if shift is None else shift,
            scale=[1.0] * channels if scale is None else scale,
        )
        if len(shifts) != channels or not bool((scales > 0).all()):
            raise ValueError(
                f"{type(self).__name__}: expected shifts and positive scales of {channels} "
                f"channels (got {shifts.tolist()} and {scales.tolist()})"
            )
        self._store(shifts, scales)

    def fit(self, fields: Iterable[Tensor], weights: Iterable[Tensor] | None = None) -> Self:
        """Return the normaliser as it is; the fields are not read."""
        return self

    def _set_statistics(self, statistics: FieldStatistics) -> None:
        pass
