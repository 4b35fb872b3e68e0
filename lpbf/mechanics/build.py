"""What belongs to which layer: the bookkeeping that the layered solvers share."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lpbf.errors import IslandError
from lpbf.islands import drop_islands
from lpbf.material import get_material
from lpbf.mechanics.element import Brick, brick
from lpbf.mesh import HexMesh
from lpbf.process import Process

CLAMPED = -1

Displacements = tuple[NDArray[np.float64], NDArray[np.float64]]
"""What a solver gives for each node, two [N, 3] in mm.

At step n the layers 0..n stand on the clamped plate and the newest one carries the inherent
strain; K_n du_n = f_n. First the sum of du_n from the step that first owns the node; then du of
that step alone. A cell of layer n strains its nodes of layer n - 1 by the difference of the two.
"""


@dataclass(frozen=True)
class Build:
    """A mesh sorted into layers.

    Attributes:
        mesh: The part.
        brick: The element matrices.
        cell_layer: Layer of each cell, [E]; rises with the cell number.
        node_layer: Layer that first owns each node, [N]; CLAMPED for nodes on the plate.
        layer_load: Nodal forces [24] on a cell of each layer by its inherent strain, [L, 24], N.
        layer_strain: Inherent strain of each layer, [L, 6].
    """

    mesh: HexMesh
    brick: Brick
    cell_layer: NDArray[np.int64]
    node_layer: NDArray[np.int64]
    layer_load: NDArray[np.float64]
    layer_strain: NDArray[np.float64]

    @property
    def num_layers(self) -> int:
        return len(self.layer_load)

    def cells_of(self, layer: int) -> slice:
        """The cells of a layer, as a range of cell numbers."""
        start, end = np.searchsorted(self.cell_layer, [layer, layer + 1])
        return slice(int(start), int(end))


def make_build(mesh: HexMesh, process: Process) -> Build:
    """Sorts a mesh into the layers of a process.

    Raises:
        IslandError: If the mesh has voxels that nothing holds when their layer is built.
        ValueError: If the layer height does not fit the voxels, or no voxel rests on the plate.
    """
    if not mesh.mask[:, :, 0].any():
        raise ValueError(
            "the lowest row of the mesh has no voxels; the part must rest on the plate"
        )
    _, found = drop_islands(mesh)
    if found:
        raise IslandError(
            f"{len(found)} islands that nothing holds when they are built, the first: {found[0]}; "
            f"remove them with lpbf.drop_islands"
        )
    rows = process.voxels_per_layer(mesh.spacing[2])
    cell_layer = mesh.cell_index[:, 2] // rows
    node_layer = np.full(mesh.num_nodes, np.iinfo(np.int64).max)
    # Downwards, so that the lowest layer that owns a node is the last to write.
    node_layer[mesh.cells[::-1].ravel()] = np.repeat(cell_layer[::-1], 8)
    on_plate = np.unique(mesh.cells[mesh.cell_index[:, 2] == 0, :4])
    node_layer[on_plate] = CLAMPED

    elements = brick(mesh.spacing, get_material(process.material).elasticity)
    strains = np.stack([process.layer_strain(n) for n in range(int(cell_layer[-1]) + 1)])
    return Build(mesh, elements, cell_layer, node_layer, strains @ elements.load.T, strains)
