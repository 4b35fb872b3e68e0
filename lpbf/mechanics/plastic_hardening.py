"""Yield stress and isotropic hardening of a material, on torch tensors."""

from dataclasses import dataclass

import torch
from torch import Tensor

from lpbf.core.material import Material
from lpbf.core.table import as_table
from lpbf.core.tensor_table import TensorTable


@dataclass(frozen=True)
class Hardening:
    """Isotropic hardening, independent of temperature: linear, and saturating after Voce.

        sigma_y(T, p) = Y(T) + H p + S (1 - exp(-b p))

    with the initial yield stress Y and the equivalent plastic strain p.

    Args:
        modulus: H, MPa.
        saturation_stress: S, MPa.
        saturation_rate: b, dimensionless.
    """

    modulus: float = 0.0
    saturation_stress: float = 0.0
    saturation_rate: float = 0.0

    @classmethod
    def from_material(cls, material: Material) -> "Hardening":
        """Hardening of a material."""
        return cls(material.hardening_modulus, material.saturation_stress, material.saturation_rate)

    @property
    def is_linear(self) -> bool:
        return self.saturation_stress == 0.0

    def stress(self, plastic: Tensor) -> Tensor:
        """Increase of the yield stress at equivalent plastic strains, MPa."""
        if self.is_linear:
            return self.modulus * plastic
        decay = torch.expm1(-self.saturation_rate * plastic)
        return self.modulus * plastic - self.saturation_stress * decay

    def slope(self, plastic: Tensor) -> Tensor:
        """Derivative of :meth:`stress`, MPa."""
        if self.is_linear:
            return torch.full_like(plastic, self.modulus)
        factor = self.saturation_stress * self.saturation_rate
        return self.modulus + factor * torch.exp(-self.saturation_rate * plastic)


def initial_yield_stress(material: Material, temperature: Tensor) -> Tensor:
    """Yield stress Y(T) in MPa at temperatures in degrees Celsius.

    It is linear between the rows of the material's table and constant outside.

    Raises:
        ValueError: If the material has no yield stress.
    """
    material.require("yield_stress")
    assert material.yield_stress is not None
    return TensorTable(as_table(material.yield_stress), temperature.device)(temperature)
