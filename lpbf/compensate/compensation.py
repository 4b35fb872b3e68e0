"""Result of a compensation."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lpbf.compensate.topology import Defect, Topology

if TYPE_CHECKING:
    import trimesh


@dataclass(frozen=True)
class Distances:
    """Distances between the points of a surface and their nominal positions.

    Attributes:
        max: Largest distance, mm.
        rms: Root mean square, mm.
        p95: Distance that 95 % of the points do not exceed, mm.
    """

    max: float
    rms: float
    p95: float

    @classmethod
    def of(
        cls, error: NDArray[np.float64], weight: NDArray[np.float64] | None = None
    ) -> "Distances":
        """Distances of vectors [P, 3] with weights [P]; None for equal ones."""
        distance = np.linalg.norm(error, axis=1)
        weight = np.ones(len(distance)) if weight is None else weight
        order = np.argsort(distance)
        share = np.cumsum(weight[order]) / weight.sum()
        return cls(
            max=float(distance.max()),
            rms=float(np.sqrt((weight * distance**2).sum() / weight.sum())),
            p95=float(distance[order[np.searchsorted(share, 0.95 * (1 - 1e-12))]]),
        )

    def __str__(self) -> str:
        return f"max {self.max:.4f}, rms {self.rms:.4f}, 95 % {self.p95:.4f} mm"


@dataclass(frozen=True)
class Deviation:
    """Distances of a distorted surface from the nominal one.

    Attributes:
        vertices: Distances of the vertices.
        surface: Distances of the middles of the triangles, weighted by area.
    """

    vertices: Distances
    surface: Distances


@dataclass(frozen=True)
class Iteration:
    """Deviation of one shape.

    Attributes:
        number: Number of corrections; 0 is the part as designed.
        deviation: Distances of the distorted shape from the nominal one.
        plate_error: Largest |z displacement| of vertices printed on the plate, mm.
    """

    number: int
    deviation: Deviation
    plate_error: float


@dataclass(frozen=True)
class Check:
    """A simulation of the pre-deformed surface on voxels of its own.

    Attributes:
        pitch: Edge lengths of its voxels, mm.
        before: Deviation of the part as designed, on voxels of this pitch.
        after: Deviation of the pre-deformed surface, on voxels of this pitch.
        disagreement: Distances between the displacements of the part as designed on voxels of this
            pitch and of the compensation's: how far the voxels alone change the result. No
            deviation below it can be confirmed.
    """

    pitch: tuple[float, float, float]
    before: Deviation
    after: Deviation
    disagreement: Deviation


@dataclass(frozen=True, eq=False)
class Compensation:
    """A pre-deformed surface.

    Attributes:
        nominal: The part as designed, with united bodies and subdivided triangles.
        surface: The pre-deformed surface, with the vertices and triangles of ``nominal`` in the
            same order, in the coordinates of the part's file.
        iterations: The shapes in order.
        best: Number of the iteration that ``surface`` is.
        tolerance: Largest accepted distance of a vertex, mm.
        rotation: Rotation [3, 3] from the part's file to the orientation in which it is built.
        stopped: Why further corrections change nothing, although the tolerance is not reached;
            None if they would.
        check: The check on voxels of its own; None without.
        bodies: Number of bodies of the part that was given, before those that touch were united.
        topology: Topology of ``surface``.
        topology_as_designed: Topology of ``nominal``.
        defects: Defects of ``surface`` that ``nominal`` does not have.
    """

    nominal: "trimesh.Trimesh"
    surface: "trimesh.Trimesh"
    iterations: tuple[Iteration, ...]
    best: int
    tolerance: float
    rotation: NDArray[np.float64]
    stopped: str | None
    check: Check | None
    bodies: int
    topology: Topology
    topology_as_designed: Topology
    defects: tuple[Defect, ...]

    @property
    def converged(self) -> bool:
        """Whether no vertex is farther from its nominal position than the tolerance."""
        return self.iterations[self.best].deviation.vertices.max <= self.tolerance

    def to_dict(self) -> dict[str, Any]:
        """All values as JSON holds them."""
        return {
            "unit": "mm",
            "converged": self.converged,
            "best": self.best,
            "tolerance": self.tolerance,
            "rotation": self.rotation.tolist(),
            "stopped": self.stopped,
            "iterations": [asdict(iteration) for iteration in self.iterations],
            "check": None if self.check is None else asdict(self.check),
            "bodies": self.bodies,
            "topology": asdict(self.topology),
            "topology_as_designed": asdict(self.topology_as_designed),
            "defects": [asdict(defect) for defect in self.defects],
        }
