"""Linear-elastic materials."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lpbf.mechanics.element import isotropic_elasticity


@dataclass(frozen=True)
class Material:
    """An isotropic linear-elastic material.

    Args:
        name: Its designation.
        youngs_modulus: E, MPa.
        poisson_ratio: nu, without unit.

    Raises:
        ValueError: If a value is outside its physical range.
    """

    name: str
    youngs_modulus: float
    poisson_ratio: float

    def __post_init__(self) -> None:
        if not (np.isfinite(self.youngs_modulus) and self.youngs_modulus > 0):
            raise ValueError(
                f"Material '{self.name}': expected youngs_modulus > 0 MPa "
                f"(got {self.youngs_modulus})"
            )
        if not -1 < self.poisson_ratio < 0.5:
            raise ValueError(
                f"Material '{self.name}': expected -1 < poisson_ratio < 0.5 "
                f"(got {self.poisson_ratio})"
            )

    @property
    def elasticity(self) -> NDArray[np.float64]:
        """Stress from strain, [6, 6], MPa, in the order xx, yy, zz, xy, yz, xz."""
        return isotropic_elasticity(self.youngs_modulus, self.poisson_ratio)


# At room temperature, from the ASM handbooks' typical values.
MATERIALS = {
    "Ti-6Al-4V": Material("Ti-6Al-4V", youngs_modulus=113_800.0, poisson_ratio=0.342),
}


def get_material(material: str | Material) -> Material:
    """The material of that name, or the one given.

    Raises:
        ValueError: If the name is unknown; lists those that exist.
    """
    if isinstance(material, Material):
        return material
    if material not in MATERIALS:
        raise ValueError(f"unknown material '{material}'; choose from {sorted(MATERIALS)}")
    return MATERIALS[material]
