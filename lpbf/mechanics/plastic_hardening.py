"""Yield stress and isotropic hardening of a material, on torch tensors."""

from dataclasses import dataclass

import torch
from torch import Tensor

from lpbf.core.material import Material
from lpbf.core.table import Table, as_table
from lpbf.core.tensor_table import TensorTable


@dataclass(frozen=True)
class Hardening:
    """Isotropic hardening: linear, and saturating after Voce.

        sigma_y(T, p) = Y(T) + H(T) p + S(T) (1 - exp(-b p))

    with the initial yield stress Y and the equivalent plastic strain p.

    Args:
        modulus: H, MPa; one number or that of each cell, [n].
        saturation_stress: S, MPa; one number or that of each cell, [n].
        saturation_rate: b, dimensionless.
    """

    modulus: float | Tensor = 0.0
    saturation_stress: float | Tensor = 0.0
    saturation_rate: float = 0.0

    @classmethod
    def from_material(cls, material: Material, temperature: Tensor) -> "Hardening":
        """Hardening of cells at temperatures [n] in degrees Celsius; tables give one per cell."""

        def at(value: float | Table) -> float | Tensor:
            if not isinstance(value, Table):
                return value
            return TensorTable(value, temperature.device)(temperature)

        modulus, saturation = at(material.hardening_modulus), at(material.saturation_stress)
        return cls(modulus, saturation, material.saturation_rate)

    @property
    def is_linear(self) -> bool:
        return self.saturation_rate == 0.0

    def over(self, factor: Tensor) -> "Hardening":
        """Hardening divided by the factors of the cells, [n]."""
        return Hardening(
            self.modulus / factor, self.saturation_stress / factor, self.saturation_rate
        )

    def of_cells(self, cells: Tensor | slice) -> "Hardening":
        """Hardening of some of the cells."""

        def of(value: float | Tensor) -> float | Tensor:
            return value[cells] if isinstance(value, Tensor) else value

        return Hardening(of(self.modulus), of(self.saturation_stress), self.saturation_rate)

    def stress(self, plastic: Tensor) -> Tensor:
        """Increase of the yield stress at equivalent plastic strains, MPa."""
        if self.is_linear:
            return self.modulus * plastic
        decay = torch.expm1(-self.saturation_rate * plastic)
        return self.modulus * plastic - self.saturation_stress * decay

    def slope(self, plastic: Tensor) -> Tensor:
        """Derivative of :meth:`stress`, MPa."""
        if self.is_linear:
            return torch.zeros_like(plastic).add_(self.modulus)
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
