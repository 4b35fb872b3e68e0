"""Displacement at points of a surface from that of the voxels inside it."""

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lpbf.core.errors import PartWarning
from lpbf.core.mesh import HexMesh
from lpbf.core.part import part_name
from lpbf.core.voxel_field import VoxelField

if TYPE_CHECKING:
    import trimesh

Simulator = Callable[[HexMesh], tuple[NDArray[np.float64], NDArray[np.bool_] | None]]
"""Function from a mesh to its nodal displacement, [N, 3] in mm, and the voxels that the release
removes, [E]; None for none."""


class SurfaceField:
    """Displacement in and around the voxels that fill a surface, in the surface's coordinates.

    Args:
        mesh: The voxels.
        offset: Position of the mesh's point (0, 0, 0) in the surface's coordinates, [3], mm.
        simulator: Returns the displacement of the voxels' nodes, and the removed voxels.
    """

    def __init__(self, mesh: HexMesh, offset: NDArray[np.float64], simulator: Simulator) -> None:
        self.mesh = mesh
        self.offset = offset
        values, removed = simulator(mesh)
        self._field = VoxelField(mesh, values)
        self._removed = None
        if removed is not None and removed.any():
            # Nodes of removed voxels have values from before the cut.
            self._removed = self._field
            self._field = VoxelField.of_cells(mesh, values, ~removed)

    def at(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Displacement at points [P, 3], mm; near removed voxels that of the nearest one left."""
        return self._field.at(points - self.offset)[0]

    def gradient_at(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Derivatives of the displacement's components (first) along x, y and z, [P, 3, 3]."""
        return self._field.gradient().at(points - self.offset)[0].reshape(-1, 3, 3)

    def is_lost(self, points: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which points [P, 3] lie in or nearest to voxels that the release removes."""
        if self._removed is None:
            return np.zeros(len(points), dtype=bool)
        whole = self._removed.at(points - self.offset)[1]
        return self._field.at(points - self.offset)[1] > whole + 1e-9

    def warn_of_far_points(self, surface: "trimesh.Trimesh") -> None:
        """Give a PartWarning if vertices of the surface are over a voxel away from the voxels."""
        field = self._removed or self._field
        distance = field.at(surface.vertices.view(np.ndarray) - self.offset)[1]
        far = distance > 1
        if far.any():
            text = (
                f"{part_name(surface)}: {int(far.sum())} of {len(far)} surface points are up to "
                f"{distance.max():.2g} voxels away from the nearest voxel and get its displacement "
                f"(thin details are not resolved); use a finer pitch"
            )
            warnings.warn(text, PartWarning, stacklevel=4)
