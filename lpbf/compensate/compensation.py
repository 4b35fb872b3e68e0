"""Result of a compensation."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import trimesh
from numpy.typing import NDArray


@dataclass(frozen=True)
class Iteration:
    """Errors of one simulated shape.

    Attributes:
        number: Number of the iteration; 0 is the part as designed.
        max_error: Largest distance between a point of the simulated distorted surface and its
            nominal position, mm.
        rms_error: Root mean square of the distance over the surface, mm.
        p99_error: 99th percentile of the distance, mm. The largest errors often belong to a few
            points next to voxels that appear and disappear.
        plate_error: Largest |z displacement| of points printed on the plate, mm.
        num_cells: Number of voxels.
        changed_cells: Number of voxels that differ from the last shape; all if the grid differs.
        seconds: Wall time.
    """

    number: int
    max_error: float
    rms_error: float
    p99_error: float
    plate_error: float
    num_cells: int
    changed_cells: int
    seconds: float


@dataclass(frozen=True, eq=False)
class Compensation:
    """A pre-deformed surface.

    Attributes:
        nominal: The part as designed, with subdivided triangles.
        surface: The pre-deformed surface, with the vertices and triangles of ``nominal`` in the
            same order, in the coordinates of the part's file.
        iterations: The simulated shapes in order.
        best: Number of the iteration that simulated ``surface``; None without simulation.
        tolerance: Largest accepted error, mm; None without simulation.
        rotation: Rotation [3, 3] from the part's file to the orientation in which it is built.
    """

    nominal: trimesh.Trimesh
    surface: trimesh.Trimesh
    iterations: tuple[Iteration, ...]
    best: int | None
    tolerance: float | None
    rotation: NDArray[np.float64]

    @property
    def converged(self) -> bool:
        """Whether the surface was simulated and its error is within the tolerance."""
        if self.best is None or self.tolerance is None:
            return False
        return self.iterations[self.best].max_error <= self.tolerance

    def to_dict(self) -> dict[str, Any]:
        """All values as JSON holds them."""
        return {
            "converged": self.converged,
            "best": self.best,
            "tolerance_mm": self.tolerance,
            "rotation": self.rotation.tolist(),
            "iterations": [
                {
                    "iteration": i.number,
                    "max_error_mm": i.max_error,
                    "rms_error_mm": i.rms_error,
                    "p99_error_mm": i.p99_error,
                    "plate_error_mm": i.plate_error,
                    "voxels": i.num_cells,
                    "changed_voxels": i.changed_cells,
                    "seconds": round(i.seconds, 3),
                }
                for i in self.iterations
            ],
        }
