"""Material property as a function of temperature, on torch tensors."""

import torch
from torch import Tensor

from lpbf.core.table import Table


class TensorTable:
    """A :class:`lpbf.Table` for tensors: piecewise linear, constant outside the table.

    Args:
        table: The property over temperature.
        device: Device of the tensors.

    Attributes:
        points: Temperatures, degrees Celsius.
        values: The property at them.
    """

    def __init__(self, table: Table, device: str | torch.device = "cpu"):
        self.points = torch.tensor(table.temperature, dtype=torch.float64, device=device)
        self.values = torch.tensor(table.value, dtype=torch.float64, device=device)

    def __call__(self, temperature: Tensor) -> Tensor:
        """Interpolate the property at temperatures in degrees Celsius, in the same shape."""
        points, values = self.points, self.values
        if len(points) == 1:
            return values[0].expand(temperature.shape)
        upper = torch.bucketize(temperature, points).clamp(1, len(points) - 1)
        left, right = points[upper - 1], points[upper]
        fraction = ((temperature - left) / (right - left)).clamp(0, 1)
        return torch.lerp(values[upper - 1], values[upper], fraction)
