"""A shift and a scale that are given, not fitted."""

from collections.abc import Iterable, Sequence
from typing import Self

import torch
from torch import Tensor

from flare_mesh.data.normalizers.normalizer import Normalizer, given, store
from flare_mesh.data.normalizers.statistics import FieldStatistics


class FixedNormalizer(Normalizer):
    """``(field - shift) / scale`` by published figures, whatever the training split is.

    Args:
        channels: Number of channels C.
        groups: As the other normalisers take them; scales are those given.
        shift: One number a channel; zeros by default.
        scale: One positive number a channel; ones by default.

    Shapes:
        [..., C] in and out.

    Raises:
        ValueError: If there are not C finite numbers, or a scale is not positive.
    """

    shift: Tensor
    scale: Tensor

    def __init__(
        self,
        channels: int,
        *,
        groups: Sequence[int] | None = None,
        shift: Sequence[float] | None = None,
        scale: Sequence[float] | None = None,
    ) -> None:
        super().__init__(channels, groups=groups)
        name = type(self).__name__
        shifts, scales = given(
            name,
            shift=[0.0] * channels if shift is None else shift,
            scale=[1.0] * channels if scale is None else scale,
        )
        if len(shifts) != channels or not bool((scales > 0).all()):
            raise ValueError(
                f"{name}: expected shifts and positive scales of {channels} channels (got "
                f"{shifts.tolist()} and {scales.tolist()})"
            )
        self.register_buffer("shift", torch.zeros(channels))
        self.register_buffer("scale", torch.ones(channels))
        store(self.shift, shifts, name)
        store(self.scale, scales, name)

    def fit(self, fields: Iterable[Tensor], weights: Iterable[Tensor] | None = None) -> Self:
        """There is nothing to fit: the fields are not read."""
        return self

    def _use(self, statistics: FieldStatistics) -> None:
        pass

    def forward(self, field: Tensor) -> Tensor:
        return (field - self.shift) / self.scale

    def inverse(self, field: Tensor) -> Tensor:
        return field * self.scale + self.shift
