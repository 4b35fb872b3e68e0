"""A voxel part in layers, with its base plate, its supports and powder."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lpbf.core.element import Brick, brick, isotropic_elasticity
from lpbf.core.islands import find_unsupported, treat_islands
from lpbf.core.materials import get_material
from lpbf.core.mesh import HexMesh, check_on_plate
from lpbf.core.process import Process
from lpbf.core.support_cells import add_supports, columns_below, with_supports
from lpbf.core.supports import Supports
from lpbf.core.wall_grid import wall_grid_elasticity

CLAMPED = -1
PART, PLATE, POWDER, SUPPORT = 0, 1, 2, 3
# Young's modulus of powder over that of the part, for the support of unsupported voxels.
POWDER_STIFFNESS = 1e-4


@dataclass(frozen=True, eq=False)
class Build:
    """A part in layers, with its base plate, its supports and the powder under unsupported voxels.

    Attributes:
        part: Mesh of the part, with its supports.
        mesh: Mesh of part, elastic plate, supports and powder, E cells and N nodes.
        brick: Element matrices of all cells but the supports, at the process's temperature.
        cell_kind: PART, PLATE, POWDER or SUPPORT, [E].
        cell_stiffness: Factor on each cell's stiffness, [E]; None if all are 1.
        cell_layer: Layer of each cell, [E], rising; the elastic plate belongs to the first layer.
        node_layer: Layer that activates each node, [N]; CLAMPED for clamped nodes.
        layer_strain: Inherent strain of each layer, [L, 6].
        rows_per_layer: Rows of voxels in a layer.
        support_brick: Element matrices of supports, which ``cell_stiffness`` multiplies by their
            volume fraction; None without supports.
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
    support_brick: Brick | None = None

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
        return np.where(self.is_solid[:, None], self.layer_strain[self.cell_layer], 0.0)

    @property
    def is_part(self) -> NDArray[np.bool_]:
        """Which cells belong to the part, [E]; they are in the order of ``part``."""
        return self.cell_kind == PART

    @property
    def is_support(self) -> NDArray[np.bool_]:
        """Which cells are supports, [E]; they are in the order of the supports' own mesh."""
        return self.cell_kind == SUPPORT

    @property
    def bricks(self) -> tuple[Brick, ...]:
        """Element matrices of the kinds of bricks."""
        return (self.brick,) if self.support_brick is None else (self.brick, self.support_brick)

    @cached_property
    def cell_brick(self) -> NDArray[np.int8] | None:
        """Number of each cell's brick in :attr:`bricks`, [E]; None if there is one."""
        return None if self.support_brick is None else self.is_support.astype(np.int8)

    @property
    def is_solid(self) -> NDArray[np.bool_]:
        """Which cells belong to part or supports, [E]; they are in the order of ``solid``."""
        return self.is_part | self.is_support

    @cached_property
    def solid(self) -> HexMesh:
        """Mesh of the part and its supports."""
        return with_supports(self.part)

    @cached_property
    def part_nodes(self) -> NDArray[np.int64]:
        """Numbers of the part's nodes in ``mesh``, in the order of ``part``."""
        return np.unique(self.mesh.cells[self.is_part])

    @cached_property
    def solid_nodes(self) -> NDArray[np.int64]:
        """Numbers of the nodes of ``solid`` in ``mesh``, in its order."""
        return np.unique(self.mesh.cells[self.is_solid])

    @cached_property
    def solid_node_layer(self) -> NDArray[np.int64]:
        """Layer whose cells of part or supports activate each node of ``solid``, in its order."""
        return _node_layer(self.solid, self.cell_layer[self.is_solid])


def make_build(mesh: HexMesh, process: Process) -> Build:
    """Divide a part into the layers of a process, and add its plate, supports and powder.

    Raises:
        IslandError: If the mesh has unsupported voxels and the process refuses them.
        PartError: If given supports touch nothing.
        ValueError: If the layer height does not fit the voxels, or no voxel rests on the plate.
    """
    supports = process.supports if isinstance(process.supports, Supports) else None
    mesh = add_supports(mesh, supports)
    check_on_plate(mesh)
    mesh = treat_islands(mesh, process.islands)
    rows = process.voxels_per_layer(mesh.spacing[2])
    kinds = np.full(mesh.mask.shape, -1, dtype=np.int8)
    kinds[mesh.mask] = PART
    if mesh.supports is not None:
        kinds[mesh.supports] = SUPPORT
    if process.islands == "powder":
        unsupported, _ = find_unsupported(mesh)
        kinds[columns_below(unsupported, kinds >= 0)] = POWDER
    material = get_material(process.material)
    modulus = material.youngs_modulus_at(process.temperature)
    fraction = 1.0 if supports is None else supports.volume_fraction
    factors = np.array([1.0, 1.0, POWDER_STIFFNESS, fraction])
    origin, plate_rows = np.array(mesh.origin), 0
    if process.base_plate is not None:
        plate = process.base_plate
        size = np.array([plate.margin, plate.margin, plate.thickness])
        x, y, plate_rows = np.rint(size / mesh.spacing).astype(int).tolist()
        plate_rows = max(plate_rows, 1)
        kinds = np.pad(kinds, ((x, x), (y, y), (plate_rows, 0)), constant_values=-1)
        kinds[:, :, :plate_rows] = PLATE
        origin = origin - np.array([x, y, plate_rows]) * mesh.spacing
        factors[PLATE] = 1.0 if plate.youngs_modulus is None else plate.youngs_modulus / modulus
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
    modes = process.incompatible_modes
    elasticity = isotropic_elasticity(modulus, material.poisson_ratio)
    elements, support_brick = brick(mesh.spacing, elasticity, incompatible_modes=modes), None
    if supports is not None and (kind == SUPPORT).any():
        walls = wall_grid_elasticity(modulus, material.poisson_ratio, fraction)
        support_brick = brick(mesh.spacing, walls / fraction, incompatible_modes=modes)
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
        support_brick=support_brick,
    )


def _node_layer(mesh: HexMesh, cell_layer: NDArray[np.int64]) -> NDArray[np.int64]:
    """Lowest layer of the cells around each node, [N]."""
    out = np.full(mesh.num_nodes, np.iinfo(np.int64).max)
    np.minimum.at(out, mesh.cells.ravel(), np.repeat(cell_layer, 8))
    return out
