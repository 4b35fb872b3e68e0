"""The unit cell with a void of Geo-FNO's elasticity set."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from flare_mesh.datasets.generators.plane_solid import PlaneSolid

if TYPE_CHECKING:
    from skfem import MeshQuad2

AROUND, ACROSS = 36, 3
"""Elements around the void, and from the void to the boundary: 108 with 9 Gauss points each."""

MODES = 5
"""Fourier modes of the void's radius."""

TRACTION = (0.0, 100.0)
"""Traction on the upper side, per undeformed length."""


@dataclass(frozen=True)
class UnitCell:
    """The square [0, 1]^2 with a void r(phi) = 0.2 + 0.2 / (1 + exp(r~)) at its centre.

    r~ ~ N(0, 4^2 (-Laplace + 3^2)^-1) over the angle, with the first five pairs of its
    Karhunen-Loève expansion in sines and cosines of unit norm on [0, 2 pi] (Geo-FNO, arXiv
    2207.05209).

    Args:
        theta: Coefficients [10] of variance 1, of cos phi, sin phi, cos 2 phi, ...

    Raises:
        ValueError: If there are not 10 coefficients.
    """

    theta: NDArray[np.float64]

    def __post_init__(self) -> None:
        if np.shape(self.theta) != (2 * MODES,):
            raise ValueError(f"expected {2 * MODES} coefficients (got {np.shape(self.theta)})")

    def radius(self, angle: NDArray[np.float64]) -> NDArray[np.float64]:
        """Radius of the void at angles phi, in [0.2, 0.4]."""
        mode = np.arange(1, MODES + 1)
        deviation = 4 / np.sqrt((mode**2 + 9) * np.pi)
        phase = mode * np.asarray(angle)[..., None]
        waves = np.stack([np.cos(phase), np.sin(phase)], axis=-1) * deviation[:, None]
        return 0.2 + 0.2 / (1 + np.exp(waves.reshape(*phase.shape[:-1], -1) @ self.theta))

    def position(self, across: NDArray, around: NDArray) -> NDArray[np.float64]:
        """Points [..., 2] on rays from the centre.

        Args:
            across: 0 on the void, 1 on the square's boundary.
            around: From 0 to 4 along the boundary, anticlockwise from its lower right corner, one
                side per unit.
        """
        side, place = np.divmod(around, 1.0)
        place = place - 0.5
        # The right side, rotated by multiples of 90 degrees.
        x, y = np.full_like(place, 0.5), place
        for number in range(1, 4):
            rotate = side % 4 >= number
            x, y = np.where(rotate, -y, x), np.where(rotate, x, y)
        border = np.stack([x, y], axis=-1)
        inner = self.radius(np.arctan2(y, x)) / np.hypot(x, y)
        return 0.5 + border * (inner + (1 - inner) * across)[..., None]

    def mesh(self, refine: int = 1) -> "MeshQuad2":
        """Mesh of AROUND refine x ACROSS refine quadratic elements.

        Cell i ACROSS refine + j is the j-th outward cell on the i-th ray.
        """
        from skfem import Dofs, ElementQuad2, MeshQuad, MeshQuad2

        around, across = AROUND * refine, ACROSS * refine
        i, j = (index.ravel() for index in np.indices((around, across)))
        corner = np.stack([i, i, i + 1, i + 1]) % around * (across + 1)
        corner += np.stack([j, j + 1, j + 1, j])
        flat = MeshQuad(np.zeros((2, around * (across + 1))), corner, validate=False)
        nodes = Dofs(flat, ElementQuad2()).element_dofs  # [9, E]
        local = ElementQuad2.doflocs.T[:, :, None]
        points = np.empty((2, nodes.max() + 1))
        points[:, nodes] = np.moveaxis(
            self.position((local[0] + j) / across, (local[1] + i) * 4 / around), -1, 0
        )
        return MeshQuad2(points, corner)

    def solve(self, refine: int = 1) -> tuple[PlaneSolid, NDArray[np.float64]]:
        """The solid and its displacement [N, 2], clamped at the bottom, loaded at the top."""
        solid = PlaneSolid(self.mesh(refine))
        top = solid.basis.mesh.facets_satisfying(
            lambda x: np.isclose(x[1], 1), boundaries_only=True
        )
        clamped = np.flatnonzero(np.isclose(solid.basis.doflocs[1], 0))
        return solid, solid.solve(solid.edge_force(top, TRACTION), clamped)

    def stress(self, refine: int = 1) -> NDArray[np.float64]:
        """Von Mises stress [972] at :meth:`points`, in the unit of the traction."""
        solid, displacement = self.solve(refine)
        i, j, local = _gauss_points()
        i, j, local = i * refine, j * refine, local * refine
        inside = np.floor(local).astype(int)
        cells = (i + inside[:, 1]) * ACROSS * refine + j + inside[:, 0]
        return solid.von_mises(displacement, cells, local - inside)

    def points(self) -> NDArray[np.float64]:
        """Gauss points [972, 2] of the unrefined mesh."""
        i, j, local = _gauss_points()
        return self.position((j + local[:, 0]) / ACROSS, (i + local[:, 1]) * 4 / AROUND)


def _gauss_points() -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Element numbers i around and j across, and local coordinates [972, 2] in the elements."""
    place = 0.5 + np.sqrt(0.15) * np.arange(-1, 2)
    local = np.stack(np.meshgrid(place, place, indexing="ij"), axis=-1).reshape(9, 2)
    i, j = (np.repeat(index.ravel(), 9) for index in np.indices((AROUND, ACROSS)))
    return i, j, np.tile(local, (AROUND * ACROSS, 1))
