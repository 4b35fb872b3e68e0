"""Computed values at the measured points."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lpbf.calibrate.measured_point import MeasuredPoint
from lpbf.core.mesh import HexMesh
from lpbf.core.rigid_motion import RigidMotion
from lpbf.core.voxel_field import VoxelField
from lpbf.mechanics.rigid_body_modes import rigid_body_modes

# Distance of a measured point from the nearest voxel, in voxels. The surface of a part lies up to
# half a voxel outside its voxels along each axis.
_REACH = 1.0


class Probe:
    """Components of a nodal displacement at measured points.

    The displacement is trilinear in the voxel that contains a point. Outside, the trilinear
    functions of the nearest voxels are extrapolated by up to one voxel.

    Args:
        mesh: Voxels of the part.
        left: Which of them the release leaves, [E].
        motion: Motion from the coordinates of the points to those of the mesh.
        points: The measured points.

    Raises:
        ValueError: If a point is more than a voxel outside the voxels.
    """

    def __init__(
        self,
        mesh: HexMesh,
        left: NDArray[np.bool_],
        motion: RigidMotion,
        points: Sequence[MeasuredPoint],
    ) -> None:
        mask = mesh.mask.copy()
        mask[tuple(mesh.cell_index[~left].T)] = False
        self._nodes = np.unique(mesh.cells[left])
        self._mesh = mesh = HexMesh(mask, mesh.spacing, mesh.origin)
        self._positions = motion.apply(np.array([point.position for point in points]))
        self._directions = np.stack([point.direction for point in points]) @ motion.rotation.T
        _, distance = VoxelField(mesh, np.zeros((mesh.num_nodes, 1))).at(self._positions)
        far = np.flatnonzero(distance > _REACH)
        if len(far):
            first = points[far[0]].position
            nodes = motion.undo(mesh.points)
            low, high = nodes.min(axis=0), nodes.max(axis=0)
            spans = (f"{a:.4g} to {b:.4g}" for a, b in zip(low, high, strict=True))
            others = f" (and {len(far) - 1} other points)" if len(far) > 1 else ""
            raise ValueError(
                f"points[{far[0]}]: ({', '.join(f'{x:.6g}' for x in first)}) mm is "
                f"{_outside(mesh, self._positions[far[0]]):.3g} mm outside the voxels that are "
                f"left of the part, over x, y, z = {', '.join(spans)} mm{others}; give nominal "
                f"positions in the coordinates of the part"
            )

    def values(self, displacement: NDArray[np.float64]) -> NDArray[np.float64]:
        """Computed values [n] of a nodal displacement [N, 3], mm."""
        at, _ = VoxelField(self._mesh, displacement[self._nodes]).at(self._positions)
        return (at * self._directions).sum(axis=1)

    def rigid_motions(self) -> NDArray[np.float64]:
        """Values of six small rigid-body motions about the mean of the points, [n, 6]."""
        centred = self._positions - self._positions.mean(axis=0)
        size = np.abs(centred).max() or 1.0
        modes = rigid_body_modes(centred / size)
        return np.einsum("nc,ncm->nm", self._directions, modes)


def _outside(mesh: HexMesh, point: NDArray[np.float64]) -> float:
    """Distance of a point from the nearest voxel, mm."""
    sizes = np.array(mesh.spacing)
    low = mesh.cell_index * sizes + np.array(mesh.origin)
    gaps = np.maximum(np.maximum(low - point, point - low - sizes), 0)
    return float(np.linalg.norm(gaps, axis=1).min())
