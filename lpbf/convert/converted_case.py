"""Result of one part from another program."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_mesh.mesh import CELL_EDGES, edges_of_cells
from lpbf.dataset.case_file import write_case


@dataclass(frozen=True, eq=False)
class ConvertedCase:
    """Hexahedra of any shape and their nodal fields.

    Attributes:
        points: [N, 3], mm.
        cells: Nodes in VTK's order, [E, 8].
        displacement: [N, 3], mm.
        von_mises: [N], MPa.
        temperature: [N], degrees Celsius.
        metadata: Origin of the case, as JSON holds it.
    """

    points: NDArray[np.floating]
    cells: NDArray[np.integer]
    displacement: NDArray[np.floating]
    von_mises: NDArray[np.floating]
    temperature: NDArray[np.floating]
    metadata: Mapping[str, Any]

    @cached_property
    def edge_index(self) -> NDArray[np.int64]:
        """Edges of the hexahedra in both directions, without duplicates, [2, num_edges]."""
        return edges_of_cells({"hexahedron": self.cells.astype(np.int64)}, len(self.points))

    @cached_property
    def max_aspect_ratio(self) -> float:
        """Largest ratio of two edges of a hexahedron; infinite if an edge has no length."""
        ends = self.points[self.cells[:, np.array(CELL_EDGES["hexahedron"])]]
        length = np.linalg.norm(ends[:, :, 1] - ends[:, :, 0], axis=2)
        if not length.all():
            return np.inf
        return float((length.max(axis=1) / length.min(axis=1)).max())

    def statistics(self) -> dict[str, Any]:
        """Sizes and extreme values, as in the metadata of generated cases."""
        return {
            "num_nodes": len(self.points),
            "num_edges": self.edge_index.shape[1],
            "num_elements": len(self.cells),
            "max_displacement_mm": float(np.linalg.norm(self.displacement, axis=1).max()),
            "max_displacement_z_mm": float(np.abs(self.displacement[:, 2]).max()),
            "max_von_mises_mpa": float(self.von_mises.max()),
            "max_aspect_ratio": self.max_aspect_ratio,
            "height_mm": float(self.points[:, 2].max()),
        }

    def write(self, path: Path, case_id: str) -> dict[str, Any]:
        """Write the case as a file of a data set; return its entry in the index."""
        metadata = {"case_id": case_id, **self.metadata, **self.statistics()}
        return write_case(path, self, self.edge_index, metadata)
