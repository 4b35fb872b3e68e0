"""What a compensation gives."""

from dataclasses import dataclass
from typing import Any

import trimesh


@dataclass(frozen=True)
class Iteration:
    """One simulated shape, compared with the nominal one.

    Attributes:
        number: 0 is the part as designed.
        max_error: Largest distance of a point of the simulated distorted surface from where it is
            wanted, mm.
        rms_error: Its root mean square over the surface, mm.
        p99_error: What 99 % of the points stay below, mm: the largest errors are often of a few
            points beside voxels that come and go.
        plate_error: Largest height by which points that were printed on the plate left it, mm.
        num_cells: Voxels of the simulated shape.
        changed_cells: How many of them differ from the shape before; all where the grid differs.
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
        nominal: The part as designed, its triangles subdivided.
        surface: The pre-deformed one, point by point and triangle by triangle as ``nominal``, in
            the frame of the part's file.
        iterations: What was simulated, in order.
        best: Number of the iteration that ``surface`` was simulated in; None if it was not.
        tolerance: What was asked for, mm; None where nothing was.
    """

    nominal: trimesh.Trimesh
    surface: trimesh.Trimesh
    iterations: tuple[Iteration, ...]
    best: int | None
    tolerance: float | None

    @property
    def converged(self) -> bool:
        """Whether the surface was simulated, and came out within the tolerance."""
        return (
            self.best is not None
            and self.tolerance is not None
            and self.iterations[self.best].max_error <= self.tolerance
        )

    def to_dict(self) -> dict[str, Any]:
        """The figures, ready for JSON."""
        return {
            "converged": self.converged,
            "best": self.best,
            "tolerance_mm": self.tolerance,
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
