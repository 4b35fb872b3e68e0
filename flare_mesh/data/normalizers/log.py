"""Standardisation of logarithms."""

import torch
from torch import Tensor

from flare_mesh.data.normalizers.unit_gaussian import UnitGaussianNormalizer


class LogNormalizer(UnitGaussianNormalizer):
    """Standardises the natural logarithm of each channel, for positive values over decades.

    ``(log(field) - shift) / scale``. The model's error is then one of the factor, and its
    predictions are positive.

    Args:
        channels: Number of channels C.
        groups: As in :class:`~flare_mesh.data.normalizers.UnitGaussianNormalizer`.
        center: As there, for the logarithms.

    Shapes:
        [..., C] in and out.

    Raises:
        ValueError: If the groups do not add up to the channels; in fitting, if a value is not
            positive.
    """

    def check(self, field: Tensor, name: str) -> None:
        if not bool((field > 0).all()):
            least = float(torch.where(field.isnan(), torch.inf, field).min())
            raise ValueError(
                f"{name}: expected positive values, of which the normaliser 'log' can take the "
                f"logarithm (got {least:.4g}); take 'signed_root'"
            )

    def transform(self, field: Tensor) -> Tensor:
        return field.log()

    def forward(self, field: Tensor) -> Tensor:
        return super().forward(field.log())

    def inverse(self, field: Tensor) -> Tensor:
        return super().inverse(field).exp()
