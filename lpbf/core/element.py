"""The eight-node brick of a voxel mesh; all elements share its matrices."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Reference coordinates of the nodes, in VTK's (and meshio's) order.
_SQUARE = ((-1, -1), (1, -1), (1, 1), (-1, 1))
NODES = np.array([(x, y, z) for z in (-1, 1) for x, y in _SQUARE], dtype=np.float64)


@dataclass(frozen=True)
class Brick:
    """Matrices of a box-shaped brick; strains and stresses in the order xx, yy, zz, xy, yz, xz.

    Shear strains are engineering strains (twice the tensor components).

    Attributes:
        elasticity: [6, 6], MPa.
        strain: [6, 24], mean strain from the nodal displacements (x, y, z of each node), 1/mm.
        stiffness: [24, 24], N/mm.
        load: [24, 6], nodal forces from a uniform inherent strain, N.
        gauss_strain: [8, 6, 24 + m], strain at the Gauss points from the nodal displacements and
            the amplitudes of the m = 9 incompatible modes (0 for the plain brick), 1/mm.
        gauss_weight: Quadrature weight of a Gauss point, mm^3.
    """

    elasticity: NDArray[np.float64]
    strain: NDArray[np.float64]
    stiffness: NDArray[np.float64]
    load: NDArray[np.float64]
    gauss_strain: NDArray[np.float64]
    gauss_weight: float


def isotropic_elasticity(youngs_modulus: float, poisson_ratio: float) -> NDArray[np.float64]:
    """The stiffness matrix [6, 6] of an isotropic linear-elastic material, in MPa."""
    shear = youngs_modulus / (2 * (1 + poisson_ratio))
    lame = youngs_modulus * poisson_ratio / ((1 + poisson_ratio) * (1 - 2 * poisson_ratio))
    matrix = np.diag([2 * shear] * 3 + [shear] * 3)
    matrix[:3, :3] += lame
    return matrix


def _strain_matrix(gradient: NDArray[np.float64]) -> NDArray[np.float64]:
    """Strain from the amplitudes of n displacement modes with gradients [n, 3]; [6, 3 n]."""
    matrix = np.zeros((6, 3 * len(gradient)))
    x, y, z = gradient.T
    matrix[0, 0::3] = x
    matrix[1, 1::3] = y
    matrix[2, 2::3] = z
    matrix[3, 0::3], matrix[3, 1::3] = y, x
    matrix[4, 1::3], matrix[4, 2::3] = z, y
    matrix[5, 0::3], matrix[5, 2::3] = z, x
    return matrix


def _nodal_gradient(xi: NDArray[np.float64], spacing: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gradients of the nodes' shape functions at the reference point ``xi``, [8, 3]."""
    x, y, z = (1 + xi * NODES).T
    return NODES * np.column_stack([y * z, x * z, x * y]) / 4 / spacing


def brick(
    spacing: tuple[float, float, float],
    elasticity: NDArray[np.float64],
    *,
    incompatible_modes: bool = True,
) -> Brick:
    """Integrate a brick by 2 x 2 x 2 Gauss points, which is exact for a box.

    The three incompatible bending modes 1 - xi^2 (Wilson et al. 1973; Taylor, Beresford and
    Wilson 1976), which prevent locking of thin walls in bending, are condensed out. Their mean
    strain over a box is zero, so a uniform inherent strain does not load them, and the mean strain
    depends on the nodal displacements alone.

    Args:
        spacing: Edge lengths, mm.
        elasticity: [6, 6], MPa.
        incompatible_modes: False gives the plain trilinear brick, for comparison.
    """
    size = np.asarray(spacing, dtype=np.float64)
    weight = size.prod() / 8
    points = NODES / np.sqrt(3)
    modes = [np.vstack([_nodal_gradient(xi, size), np.diag(-4 * xi / size)]) for xi in points]
    strain = np.stack([_strain_matrix(gradient) for gradient in modes])
    if not incompatible_modes:
        strain = strain[:, :, :24]
    full = weight * np.einsum("gsi,st,gtj->ij", strain, elasticity, strain)
    coupling = full[:24, 24:]
    stiffness = full[:24, :24] - coupling @ np.linalg.solve(full[24:, 24:], coupling.T)
    return Brick(
        elasticity=elasticity,
        strain=_strain_matrix(_nodal_gradient(np.zeros(3), size)),
        stiffness=(stiffness + stiffness.T) / 2,
        load=weight * np.einsum("gsi,st->it", strain[:, :, :24], elasticity),
        gauss_strain=strain,
        gauss_weight=float(weight),
    )
