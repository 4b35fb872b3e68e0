"""An L-bracket and its meshes."""

from dataclasses import dataclass
from itertools import permutations
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from flare_mesh.mesh import CELL_TYPES

if TYPE_CHECKING:
    from skfem import Mesh


@dataclass(frozen=True)
class Bracket:
    """An L-bracket: an upright leg along y and an arm along x, with a fillet between them.

    The outer corner is at the origin; the width extends along z. The cross-section is meshed along
    the path from the upper end of the leg to the end of the arm, with rays around the fillet.

    Args:
        length: Length of the arm, from the outer corner.
        height: Height of the leg, from the outer corner.
        width: Width.
        thickness: Thickness of both legs.
        fillet: Radius of the fillet in the inner corner.

    Raises:
        ValueError: If a leg is shorter than its thickness and the fillet.
    """

    length: float
    height: float
    width: float
    thickness: float
    fillet: float

    def __post_init__(self) -> None:
        corner = self.thickness + self.fillet
        if not 0 < corner < min(self.length, self.height):
            raise ValueError(f"expected legs longer than {corner:g} (thickness and fillet)")

    def lines(self, path: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Points [path + 1, 2] of the outer and the inner side, at about equal distances.

        Args:
            path: Cells along the path, at least 6.
        """
        corner = self.thickness + self.fillet
        lengths = np.array([self.height - corner, self.length - corner])
        around = (self.fillet + self.thickness / 2) * np.pi / 2
        # An even number around the corner, so that a ray meets it.
        bend = 2 * max(2, round(path * around / (lengths.sum() + around) / 2))
        leg = min(max(1, round((path - bend) * lengths[0] / lengths.sum())), path - bend - 1)
        y = np.linspace(self.height, corner, leg + 1)[:-1]
        x = np.linspace(corner, self.length, path - bend - leg + 1)[1:]
        angle = np.pi + np.linspace(0, np.pi / 2, bend + 1)
        ray = np.stack([np.cos(angle), np.sin(angle)], axis=1)
        outer = corner + ray * corner / np.abs(ray).max(axis=1, keepdims=True)
        inner = corner + ray * self.fillet

        def joined(across: float, middle: NDArray[np.float64]) -> NDArray[np.float64]:
            upright = np.stack([np.full_like(y, across), y], axis=1)
            level = np.stack([x, np.full_like(x, across)], axis=1)
            return np.concatenate([upright, middle, level])

        return joined(0.0, outer), joined(self.thickness, inner)

    def points(self, cells: tuple[int, int, int]) -> NDArray[np.float64]:
        """Points [N, 3] of a lattice of cells along the path, through the thickness and the width.

        The points at the clamped end are the first, those at the loaded end the last.
        """
        path, through, across = cells
        outer, inner = self.lines(path)
        share = np.linspace(0, 1, through + 1)[:, None]
        section = outer[:, None] + share * (inner - outer)[:, None]  # [path + 1, through + 1, 2]
        shape = (path + 1, through + 1, across + 1)
        points = np.empty((*shape, 3))
        points[..., :2] = section[:, :, None]
        points[..., 2] = np.linspace(0, self.width, across + 1)
        return points.reshape(-1, 3)

    def along(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
        """Position of points along the path; not to scale around the corner."""
        corner = self.thickness + self.fillet
        turn = np.arctan2(x - corner, corner - y)  # -pi/2 on the leg's side, 0 on the arm's
        return np.where(
            y > corner, -np.pi / 2 - (y - corner), np.where(x > corner, x - corner, turn)
        )


def lattice_cells(cells: tuple[int, int, int], kind: str) -> NDArray[np.int64]:
    """Hexahedra, or six tetrahedra for each, of a lattice, in VTK's order of nodes.

    Args:
        cells: Numbers of cells along the three axes; the last axis of the points is the fastest.
        kind: ``"hexahedron"`` or ``"tetra"``.

    Returns:
        [E, 8] or [E, 4].
    """
    if kind == "hexahedron":
        return _lattice_nodes(cells, np.array(CELL_TYPES[kind].reference, dtype=int))
    tetrahedra = []
    for order in permutations(range(3)):  # Kuhn's division along one diagonal
        corners = np.zeros((4, 3), dtype=int)
        for step, axis in enumerate(order):
            corners[step + 1 :, axis] = 1
        if np.linalg.det(corners[1:] - corners[0]) < 0:
            corners[[1, 2]] = corners[[2, 1]]
        tetrahedra.append(_lattice_nodes(cells, corners))
    return np.stack(tetrahedra, axis=1).reshape(-1, 4)


def lattice_mesh(points: NDArray[np.float64], cells: tuple[int, int, int], kind: str) -> "Mesh":
    """The same cells as a mesh of scikit-fem, whose hexahedra have another order of nodes."""
    import skfem

    if kind == "tetra":
        return skfem.MeshTet(
            np.ascontiguousarray(points.T), np.ascontiguousarray(lattice_cells(cells, kind).T)
        )
    corners = np.asarray(skfem.ElementHex1.doflocs, dtype=int)
    return skfem.MeshHex(
        np.ascontiguousarray(points.T), np.ascontiguousarray(_lattice_nodes(cells, corners).T)
    )


def _lattice_nodes(cells: tuple[int, int, int], corners: NDArray[np.int64]) -> NDArray[np.int64]:
    """Node numbers [E, corners] of the corners [corners, 3] of each cell."""
    steps = np.array([(cells[1] + 1) * (cells[2] + 1), cells[2] + 1, 1])
    first = np.indices(cells).reshape(3, -1).T
    return (first[:, None] + corners) @ steps
