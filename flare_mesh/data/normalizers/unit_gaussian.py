"""Mean 0 and standard deviation 1."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn


class UnitGaussianNormalizer(nn.Module):
    """Shifts and scales each channel to mean 0 and standard deviation 1.

    The statistics are buffers in float32: they move and are saved with the module.

    Args:
        channels: Number of channels C.

    Shapes:
        [..., C] in and out.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("std", torch.ones(channels))

    def fit(self, fields: Iterable[Tensor]) -> "UnitGaussianNormalizer":
        """Mean and standard deviation over all nodes of all ``fields`` [N, C], in one pass.

        A channel that does not vary keeps its scale.

        Raises:
            ValueError: If there is no node, or a value is not finite.
        """
        channels = len(self.mean)
        count = 0
        mean = torch.zeros(channels, dtype=torch.float64)
        spread = torch.zeros(channels, dtype=torch.float64)
        for number, field in enumerate(fields):
            values = field.reshape(-1, channels).double()
            if not bool(values.isfinite().all()):
                bad = int((~values.isfinite()).sum())
                raise ValueError(f"case {number}: {bad} values to normalise are NaN or infinite")
            # Chan's update: stable where the mean is large beside the deviation.
            added = len(values)
            if not added:
                continue
            delta = values.mean(0) - mean
            spread += values.var(0, unbiased=False) * added
            spread += delta**2 * count * added / (count + added)
            mean += delta * added / (count + added)
            count += added
        if not count:
            raise ValueError("expected at least one node to fit the normaliser (got none)")
        std = (spread / count).sqrt()
        floor = 1e-7 * mean.abs()
        self.mean.copy_(mean)
        self.std.copy_(torch.where(std > floor, std, 1.0))
        return self

    def forward(self, field: Tensor) -> Tensor:
        """Physical values to normalised ones."""
        return (field - self.mean) / self.std

    def inverse(self, field: Tensor) -> Tensor:
        """Normalised values to physical ones."""
        return field * self.std + self.mean
