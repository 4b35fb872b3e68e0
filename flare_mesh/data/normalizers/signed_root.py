"""Standardisation of roots that keep their sign."""

from collections.abc import Sequence

import torch
from torch import Tensor

from flare_mesh.data.normalizers.statistics import FieldStatistics
from flare_mesh.data.normalizers.unit_gaussian import UnitGaussianNormalizer

# Root below which the transform is linear, relative to the root mean square of the roots.
_LINEAR = 1e-3


class SignedRootNormalizer(UnitGaussianNormalizer):
    r"""Standardises a root of each channel that keeps its sign, for values over decades.

    :math:`(r(v) - \text{shift}) / \text{scale}` with the root

    .. math::
        r(v) = \operatorname{sign}(v) |v|^p \text{ for } |v| > d, \qquad v\, d^{p - 1} \text{ else}

    The linear part, below a thousandth of the typical root, makes the slope finite at zero. The
    root of a vector's components does not commute with rotations.

    Args:
        channels: Number of channels C.
        groups: As in :class:`~flare_mesh.data.normalizers.UnitGaussianNormalizer`.
        center: As there, for the roots.
        power: The exponent p.

    Shapes:
        [..., C] in and out.

    Raises:
        ValueError: If the groups do not add up to the channels, or ``power`` is not above 0 and
            below 1.
    """

    linear: Tensor
    """Root of d, [C]."""

    def __init__(
        self,
        channels: int,
        *,
        groups: Sequence[int] | None = None,
        center: bool = True,
        power: float = 0.5,
    ) -> None:
        super().__init__(channels, groups=groups, center=center)
        if not 0 < power < 1:
            raise ValueError(
                f"SignedRootNormalizer: expected 'power' above 0 and below 1 (got {power})"
            )
        self.power = power
        self.register_buffer("linear", torch.zeros(channels))

    def transform(self, field: Tensor) -> Tensor:
        return field.sign() * field.abs() ** self.power

    def forward(self, field: Tensor) -> Tensor:
        limit = self.linear ** (1 / self.power)
        limit = limit.clamp_min(torch.finfo(limit.dtype).tiny)
        return super().forward(field * field.abs().maximum(limit) ** (self.power - 1))

    def inverse(self, field: Tensor) -> Tensor:
        root = super().inverse(field)
        return root * root.abs().maximum(self.linear) ** (1 / self.power - 1)

    def _set_statistics(self, statistics: FieldStatistics) -> None:
        super()._set_statistics(statistics)
        square = statistics.variance + statistics.mean**2
        self.linear.copy_(_LINEAR * self._per_group(square, torch.mean).sqrt())
