"""Isotropic material that stands for an anisotropic one in plasticity."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Projection of a stress on its deviator, and the weights of its components in the equivalent one.
_DEVIATOR = np.diag([1.0] * 6) - np.pad(np.full((3, 3), 1 / 3), (0, 3))
_WEIGHT = np.array([1.0, 1, 1, 2, 2, 2])


@dataclass(frozen=True)
class IsotropicMapping:
    """Linear map from the strains of an anisotropic elastic material to those of an isotropic one.

    With e = A E of the strain E and the isotropic stress s = D e, the anisotropic stress is A^T s,
    so that the energies agree if its stiffness is A^T D A. The isotropic material yields after von
    Mises, which is a convex, associated law for the anisotropic one, whose strength is to its
    stiffness as the map tells (mapped stress spaces: Oller, Car and Lubliner, Comput. Methods Appl.
    Mech. Eng. 192, 2003, with A by the stiffness alone).

    Attributes:
        strain: A, symmetric, [6, 6].
        elasticity: D, [6, 6], MPa.
    """

    strain: NDArray[np.float64]
    elasticity: NDArray[np.float64]

    @classmethod
    def between(
        cls, elasticity: NDArray[np.float64], target: NDArray[np.float64]
    ) -> "IsotropicMapping":
        """Map of a material with the stiffness ``target`` to one proportional to ``elasticity``.

        A is the symmetric solution, which has all symmetries of the material. D is the isotropic
        stiffness over the factor for which the material yields in tension along z at the yield
        stress of the isotropic one.
        """
        root = _square_root(elasticity)
        inverse = np.linalg.inv(root)
        strain = inverse @ _square_root(root @ target @ root) @ inverse
        deviator = _DEVIATOR @ np.linalg.solve(strain, [0.0, 0.0, 1.0, 0.0, 0.0, 0.0])
        scale = float(np.sqrt(1.5 * (_WEIGHT * deviator**2).sum()))
        return cls(scale * strain, elasticity / scale**2)


def _square_root(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    values, vectors = np.linalg.eigh(matrix)
    return vectors * np.sqrt(values) @ vectors.T
