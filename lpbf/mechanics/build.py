"""A voxel part in layers, with its base plate and the powder that supports it."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lpbf.core.element import Brick, brick
from lpbf.core.islands import find_unsupported, treat_islands
from lpbf.core.materials import get_material
from lpbf.core.mesh import HexMesh, check_on_plate
from lpbf.core.process import Process

CLAMPED = -1
PART, PLATE, POWDER = 0, 1, 2
# Young's modulus of powder over that of the part, for the support of unsupported voxels.
POWDER_STIFFNESS = 1e-4


@dataclass(frozen=True, eq=False)
class Build:
    """A part in layers, with its base plate and the powder under unsupported voxels.

    Attributes:
        part: Mesh of the part.
        mesh: Mesh of part, elastic plate and powder, E cells and N nodes.
        brick: Element matrices.
        cell_kind: PART, PLATE or POWDER, [E].
        cell_stiffness: Factor on each cell's stiffness, [E]; None if all are 1.
        cell_layer: Layer of each cell, [E], rising; the elastic plate belongs to the first layer.
        node_layer: Layer that activates each node, [N]; CLAMPED for clamped nodes.
        layer_strain: Inherent strain of each layer, [L, 6].
        rows_per_layer: Rows of voxels in a layer.
    """

    part: HexMesh
    mesh: HexMesh
    brick: Brick
    cell_kind: NDArray[np.int8]
    cell_stiffness: NDArray[np.float64] | None
    cell_layer: NDArray[np.int64]
    node_layer: NDArray[np.int64]
    layer_strain: NDArray[np.float64]
    rows_per_layer: int

    @property
    def num_layers(self) -> int:
        return len(self.layer_strain)

    def layer_cells(self, layer: int) -> slice:
        """Range of the cell numbers of a layer."""
        start, end = np.searchsorted(self.cell_layer, [layer, layer + 1])
        return slice(int(start), int(end))

    @cached_property
    def cell_strain(self) -> NDArray[np.float64]:
        """Inherent strain of each cell, [E, 6]; 0 in plate and powder."""
        return np.where(self.is_part[:, None], self.layer_strain[self.cell_layer], 0.0)

    @property
    def is_part(self) -> NDArray[np.bool_]:
        """Which cells belong to the part, [E]; they are in the order of ``part``."""
        return self.cell_kind == PART

    @cached_property
    def part_nodes(self) -> NDArray[np.int64]:
        """Numbers of the part's nodes in ``mesh``, in the order of ``part``."""
        return np.unique(self.mesh.cells[self.is_part])

    @cached_property
    def part_node_layer(self) -> NDArray[np.int64]:
        """Layer whose part cells activate each of the part's nodes, in the order of ``part``."""
        return _node_layer(self.part, self.cell_layer[self.is_part])


def make_build(mesh: HexMesh, process: Process) -> Build:
    """Divide a part into the layers of a process, and add its plate and powder.

    Raises:
        IslandError: If the mesh has unsupported voxels and the process refuses them.
        ValueError: If the layer height does not fit the voxels, or no voxel rests on the plate.
    """
    check_on_plate(mesh)
    mesh = treat_islands(mesh, process.islands)
    rows = process.voxels_per_layer(mesh.spacing[2])
    kinds = np.full(mesh.mask.shape, -1, dtype=np.int8)
    kinds[mesh.mask] = PART
    if process.islands == "powder":
        unsupported, _ = find_unsupported(mesh)
        kinds[_powder_below(unsupported, mesh.mask)] = POWDER
    material = get_material(process.material)
    factors = np.array([1.0, 1.0, POWDER_STIFFNESS])
    origin, plate_rows = np.array(mesh.origin), 0
    if process.base_plate is not None:
        plate = process.base_plate
        size = np.array([plate.margin, plate.margin, plate.thickness])
        x, y, plate_rows = np.rint(size / mesh.spacing).astype(int).tolist()
        plate_rows = max(plate_rows, 1)
        kinds = np.pad(kinds, ((x, x), (y, y), (plate_rows, 0)), constant_values=-1)
        kinds[:, :, :plate_rows] = PLATE
        origin = origin - np.array([x, y, plate_rows]) * mesh.spacing
        factors[PLATE] = (plate.youngs_modulus or material.youngs_modulus) / material.youngs_modulus
    all_cells = mesh
    if (kinds >= 0).sum() != mesh.num_cells:
        x, y, z = origin.tolist()
        all_cells = HexMesh(kinds >= 0, mesh.spacing, (x, y, z))
    i, j, k = all_cells.cell_index.T
    kind = kinds[i, j, k]
    factor = factors[kind]

    cell_layer = np.maximum(k - plate_rows, 0) // rows
    node_layer = _node_layer(all_cells, cell_layer)
    node_layer[np.unique(all_cells.cells[k == 0, :4])] = CLAMPED
    elements = brick(
        mesh.spacing, material.elasticity, incompatible_modes=process.incompatible_modes
    )
    return Build(
        part=mesh,
        mesh=all_cells,
        brick=elements,
        cell_kind=kind,
        cell_stiffness=None if (factor == 1).all() else factor,
        cell_layer=cell_layer,
        node_layer=node_layer,
        layer_strain=np.stack([process.layer_strain(n) for n in range(int(cell_layer[-1]) + 1)]),
        rows_per_layer=rows,
    )


def _node_layer(mesh: HexMesh, cell_layer: NDArray[np.int64]) -> NDArray[np.int64]:
    """Lowest layer of the cells around each node, [N]."""
    out = np.full(mesh.num_nodes, np.iinfo(np.int64).max)
    np.minimum.at(out, mesh.cells.ravel(), np.repeat(cell_layer, 8))
    return out


def _powder_below(unsupported: NDArray[np.bool_], solid: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Void below unsupported voxels, down to the next solid or the plate; bool [nx, ny, nz]."""
    powder = np.zeros_like(solid)
    above = np.zeros(solid.shape[:2], dtype=bool)
    for k in reversed(range(solid.shape[2])):
        powder[:, :, k] = above & ~solid[:, :, k]
        above = (above | unsupported[:, :, k]) & (unsupported[:, :, k] | ~solid[:, :, k])
    return powder
