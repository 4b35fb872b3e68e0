"""What a simulation gives."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lpbf.mesh import HexMesh


def von_mises(stress: NDArray[np.float64]) -> NDArray[np.float64]:
    """Equivalent stress [...] of stresses [..., 6] in the order xx, yy, zz, xy, yz, xz."""
    xx, yy, zz, xy, yz, xz = np.moveaxis(stress, -1, 0)
    normal = (xx - yy) ** 2 + (yy - zz) ** 2 + (zz - xx) ** 2
    return np.sqrt(normal / 2 + 3 * (xy**2 + yz**2 + xz**2))


@dataclass(frozen=True, eq=False)
class Result:
    """The finished part on its plate.

    Attributes:
        mesh: The voxel mesh.
        displacement: At the nodes, [N, 3], mm, each since its layer was added.
        stress: At the nodes, mean of the cells around, [N, 6], MPa, in the order xx, yy, zz, xy,
            yz, xz (VTK's order of a symmetric tensor).
        temperature: At the nodes, [N], degrees Celsius.
        solver: Which solver was used.
        seconds: Wall time of the simulation.
    """

    mesh: HexMesh
    displacement: NDArray[np.float64]
    stress: NDArray[np.float64]
    temperature: NDArray[np.float64]
    solver: str
    seconds: float

    @property
    def points(self) -> NDArray[np.float64]:
        """Coordinates of the nodes, [N, 3], mm."""
        return self.mesh.points

    @property
    def cells(self) -> NDArray[np.int64]:
        """Nodes of each hexahedron in VTK's order, [E, 8]."""
        return self.mesh.cells

    @property
    def von_mises(self) -> NDArray[np.float64]:
        """Equivalent stress at the nodes, [N], MPa."""
        return von_mises(self.stress)

    def save(self, path: str | Path) -> None:
        """Writes all fields to a mesh file, ``.vtu`` or another that holds hexahedra."""
        import meshio

        from flare_mesh.data import write_mesh

        fields: dict[str, Any] = {
            "displacement": self.displacement,
            "von_mises": self.von_mises,
            "stress": self.stress,
            "temperature": self.temperature,
        }
        cells: dict[str, Any] = {"hexahedron": self.cells}
        write_mesh(path, meshio.Mesh(self.points, cells, point_data=fields))
