"""Thermal strain of a material, on torch tensors."""

import torch
from torch import Tensor

from lpbf.core.material import ROOM_TEMPERATURE, Material
from lpbf.core.table import as_table
from lpbf.core.tensor_table import TensorTable


class ThermalExpansion:
    """Free thermal strain alpha(T) (T - 25 C) of a material, without unit.

    alpha is the mean coefficient from 25 C to the temperature T. Only differences of the strain
    matter, so the reference has no effect on a material with one number.

    Args:
        material: Material with a coefficient of thermal expansion.
        device: Device of the tensors.

    Raises:
        ValueError: If the material has none.
    """

    def __init__(self, material: Material, device: str | torch.device = "cpu"):
        material.require("thermal_expansion")
        assert material.thermal_expansion is not None
        self._coefficient = TensorTable(as_table(material.thermal_expansion), device)

    def __call__(self, temperature: Tensor) -> Tensor:
        """Thermal strain at temperatures in degrees Celsius, in their shape."""
        return self._coefficient(temperature) * (temperature - ROOM_TEMPERATURE)
