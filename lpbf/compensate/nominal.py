"""The nominal surface of a compensation, and the deviation of others from it."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lpbf.compensate.compensation import Deviation, Distances
from lpbf.compensate.surface_field import SurfaceField
from lpbf.core.errors import PartError

if TYPE_CHECKING:
    import trimesh


class Nominal:
    """A part as designed, and the displacement at its points.

    A moved point keeps the displacement of its nominal point, changed by the gradient there. The
    displacement where it has moved to may be that of another wall, beyond a gap.

    Errors are vectors from nominal to actual positions, at the vertices and, behind them, at the
    middles of the triangles. Vertices on the plate and triangles that touch it have no z component:
    the error on the plate is given apart.

    Args:
        surface: The part, with triangles that are small enough to follow the voxels.
        field: Its displacement.

    Raises:
        PartError: If the release removes all of the surface.
    """

    def __init__(self, surface: "trimesh.Trimesh", field: SurfaceField) -> None:
        self.surface = surface
        self._vertices = len(surface.vertices)
        self._points = self._with_middles(surface)
        low = surface.bounds[0, 2]
        height = surface.vertices.view(np.ndarray)[:, 2]
        self.plate = float(low)
        # Files in single precision, and rotations to the plate, tilt the lowest plane a little.
        self.on_plate = height <= low + 1e-5 * float(np.max(surface.extents))
        touching = self.on_plate[surface.faces].any(axis=1)
        self._no_rise = np.concatenate([self.on_plate, touching])
        self._shift, self._slope = field.at(self._points), field.gradient_at(self._points)
        self._left = ~field.is_lost(self._points)
        if not self._left[: self._vertices].any() or not self._left[self._vertices :].any():
            raise PartError(
                "compensate: the release removes the voxels at all points of the surface; move "
                "its cuts"
            )

    def _with_middles(self, surface: "trimesh.Trimesh") -> NDArray[np.float64]:
        vertices = surface.vertices.view(np.ndarray)
        return np.concatenate([vertices, vertices[self.surface.faces].mean(axis=1)])

    def errors(
        self, surface: "trimesh.Trimesh", field: SurfaceField | None = None
    ) -> tuple[NDArray[np.float64], float]:
        """Errors of a surface after its displacement, [P, 3], and the error on the plate, mm.

        Args:
            surface: The part, with moved vertices.
            field: Displacement of the moved part; None for that of the part as designed.
        """
        points = self._with_middles(surface)
        if field is None:
            by = self._shift + np.einsum("pcd,pd->pc", self._slope, points - self._points)
        else:
            by = field.at(points)
        error = points + by - self._points
        rise = np.abs(error[: self._vertices][self.on_plate & self._left[: self._vertices], 2])
        error[self._no_rise, 2] = 0.0
        return error, float(rise.max(initial=0.0))

    def deviation(self, error: NDArray[np.float64]) -> Deviation:
        """Distances of errors [P, 3] without points on voxels that the release removes."""
        split = self._vertices
        vertices, middles = self._left[:split], self._left[split:]
        area = np.asarray(self.surface.area_faces)[middles]
        return Deviation(
            vertices=Distances.of(error[:split][vertices]),
            surface=Distances.of(error[split:][middles], area),
        )

    def correct(self, surface: "trimesh.Trimesh", error: NDArray[np.float64]) -> "trimesh.Trimesh":
        """Move a surface by its negative error, but no vertex below the plate, and none off it."""
        import trimesh

        vertices = surface.vertices.view(np.ndarray) - error[: self._vertices]
        vertices[:, 2] = vertices[:, 2].clip(self.plate)
        vertices[self.on_plate, 2] = self.plate
        metadata = dict(self.surface.metadata)
        return trimesh.Trimesh(vertices, self.surface.faces, process=False, metadata=metadata)

    def why_stopped(
        self,
        surface: "trimesh.Trimesh",
        corrected: "trimesh.Trimesh",
        error: NDArray[np.float64],
        tolerance: float,
    ) -> str | None:
        """Why a correction hardly moves the surface; None if it moves it.

        Args:
            surface: The part, with moved vertices.
            corrected: The surface after :meth:`correct`.
            error: Errors of ``surface``, see :meth:`errors`.
            tolerance: Largest accepted error, mm.
        """
        move = np.abs(corrected.vertices.view(np.ndarray) - surface.vertices.view(np.ndarray))
        rounding = 4 * np.finfo(float).eps * float(np.abs(surface.vertices).max())
        if move[self._left[: self._vertices]].max() > max(tolerance / 100, rounding):
            return None
        wanted = surface.vertices[:, 2] - error[: self._vertices, 2]
        held = (wanted < self.plate - tolerance / 2) & self._left[: self._vertices]
        if held.any():
            return (
                f"{int(held.sum())} vertices would have to be printed below the plate, and stop at "
                f"it; cut off what rises from the plate"
            )
        return "the tolerance is below the rounding of the coordinates; use a larger tolerance"
