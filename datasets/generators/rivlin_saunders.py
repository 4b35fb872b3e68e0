"""Incompressible rubber in plane stress."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SYMMETRIC = np.array([[0, 2], [2, 1]])
"""Indices of the components of a symmetric tensor among 11, 22, 12."""


@dataclass(frozen=True)
class RivlinSaunders:
    """Rivlin-Saunders rubber W = c1 (I1 - 3) + c2 (I2 - 3) in plane stress (Pascon 2019).

    Incompressibility gives the thickness, C33 = 1 / det C, and sigma33 = 0 the pressure, so that
    the plane components of C are independent. The initial shear modulus is 2 (c1 + c2).

    Args:
        c1: First modulus, in the unit of the stress.
        c2: Second modulus, in the unit of the stress.
    """

    c1: float = 1.863e5
    c2: float = 9.79e3

    def stress(self, right_cauchy: NDArray[np.float64]) -> NDArray[np.float64]:
        """Second Piola-Kirchhoff stress S of right Cauchy-Green tensors C = F^T F.

        Shapes:
            right_cauchy [..., 3] as C11, C22, C12. Returns [..., 3] as S11, S22, S12.
        """
        inverse, det, trace = _invariants(right_cauchy)
        plain = self.c1 + self.c2 / det
        other = self.c2 * det - (self.c1 + self.c2 * trace) / det
        return 2 * (plain[..., None] * _UNIT + other[..., None] * inverse)

    def tangent(self, right_cauchy: NDArray[np.float64]) -> NDArray[np.float64]:
        """Tangent dS / dE with E = (C - 1) / 2, by E11, E22, 2 E12.

        Shapes:
            right_cauchy [..., 3] as C11, C22, C12. Returns [..., 3, 3].
        """
        inverse, det, trace = _invariants(right_cauchy)
        i11, i22, i12 = np.moveaxis(inverse, -1, 0)
        product = np.empty((*det.shape, 3, 3))  # of C^-1 dE C^-1
        product[..., 0, 0] = i11**2
        product[..., 1, 1] = i22**2
        product[..., 0, 1] = product[..., 1, 0] = i12**2
        product[..., 0, 2] = product[..., 2, 0] = i11 * i12
        product[..., 1, 2] = product[..., 2, 1] = i12 * i22
        product[..., 2, 2] = (i11 * i22 + i12**2) / 2
        mixed = _UNIT[:, None] * inverse[..., None, :]
        square = inverse[..., :, None] * inverse[..., None, :]
        rest = (self.c1 + self.c2 * trace) / det
        return 4 * (
            (self.c2 * det + rest)[..., None, None] * square
            - (self.c2 / det)[..., None, None] * (mixed + np.swapaxes(mixed, -1, -2))
            - (self.c2 * det - rest)[..., None, None] * product
        )


_UNIT = np.array([1.0, 1.0, 0.0])


def _invariants(right_cauchy):
    """Inverse [..., 3], determinant and trace of the plane part of C."""
    c11, c22, c12 = np.moveaxis(right_cauchy, -1, 0)
    det = c11 * c22 - c12**2
    return np.stack([c22, c11, -c12], axis=-1) / det[..., None], det, c11 + c22


def von_mises(
    deformation: NDArray[np.float64], second_piola: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Von Mises stress of the Cauchy stress F S F^T in plane stress.

    Shapes:
        deformation F [..., 2, 2]; second_piola [..., 3] as S11, S22, S12. Returns [...].
    """
    cauchy = deformation @ second_piola[..., SYMMETRIC] @ np.swapaxes(deformation, -1, -2)
    xx, yy, xy = cauchy[..., 0, 0], cauchy[..., 1, 1], cauchy[..., 0, 1]
    return np.sqrt(xx**2 - xx * yy + yy**2 + 3 * xy**2)
