"""Hexahedral meshes of voxels."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from flare_mesh.mesh import edges_of_cells
from lpbf.core.checks import check_edges
from lpbf.core.element import NODES
from lpbf.core.filling import Filling
from lpbf.core.plate import Plate
from lpbf.core.rigid_motion import RigidMotion

# Corners of a voxel as grid offsets.
_CORNERS = ((NODES + 1) / 2).astype(np.int64)


@dataclass(frozen=True, eq=False)
class HexMesh:
    """Immutable mesh of equal, box-shaped voxels.

    Cells and nodes are sorted by z, then y, then x.

    Attributes:
        mask: Solid voxels, bool [nx, ny, nz].
        spacing: Edge lengths of a voxel, mm.
        origin: Lower corner of the grid, mm.
        supports: Voxels of given support bodies, which are no cells of the mesh, bool
            [nx, ny, nz]; None without.
        placement: Motion from the coordinates of the part's file, in mm, to those of the mesh;
            None if it was not made from one surface.
        plate: The parts of a mesh of several; None for one.
        filling: Comparison of the voxels, before unsupported ones were dropped, with the closed
            surface of the part; None without.
    """

    mask: NDArray[np.bool_]
    spacing: tuple[float, float, float]
    origin: tuple[float, float, float]
    supports: NDArray[np.bool_] | None = None
    placement: RigidMotion | None = None
    plate: Plate | None = None
    filling: Filling | None = None

    @classmethod
    def from_mask(
        cls,
        mask: ArrayLike,
        spacing: float | tuple[float, float, float],
        origin: tuple[float, float, float] = (0.0, 0.0, 0.0),
        supports: ArrayLike | None = None,
        placement: RigidMotion | None = None,
    ) -> "HexMesh":
        """Mesh the True voxels of ``mask`` [nx, ny, nz].

        Voxels of ``supports`` within the part belong to the part.

        Raises:
            ValueError: If the mask is not three-dimensional or has no True voxel, a spacing is not
                positive, or the supports have another shape.
        """
        solid = np.array(mask, dtype=bool)
        edges = check_edges("the spacing", spacing)
        if solid.ndim != 3 or not solid.any():
            raise ValueError(
                f"expected a mask of shape [nx, ny, nz] with at least one True voxel "
                f"(got shape {list(solid.shape)}, {int(solid.sum())} True)"
            )
        solid.setflags(write=False)
        if supports is None:
            return cls(solid, edges, origin, placement=placement)
        bodies = np.array(supports, dtype=bool)
        if bodies.shape != solid.shape:
            raise ValueError(
                f"expected supports of the mask's shape {list(solid.shape)} "
                f"(got {list(bodies.shape)})"
            )
        bodies &= ~solid
        bodies.setflags(write=False)
        return cls(solid, edges, origin, bodies, placement)

    def with_voxels(self, mask: ArrayLike, supports: ArrayLike | None) -> "HexMesh":
        """A mesh of other voxels of this grid, for the same part or parts."""
        mesh = self.from_mask(mask, self.spacing, self.origin, supports, self.placement)
        return replace(mesh, plate=self.plate, filling=self.filling)

    @cached_property
    def cell_index(self) -> NDArray[np.int64]:
        """Grid position (i, j, k) of each cell, [E, 3]."""
        return np.argwhere(self.mask.transpose(2, 1, 0))[:, ::-1]

    @cached_property
    def _corner_ids(self) -> NDArray[np.int64]:
        """Number of each cell's corners in the whole grid, [E, 8]."""
        nx, ny, _ = self.mask.shape
        i, j, k = np.moveaxis(self.cell_index[:, None, :] + _CORNERS, -1, 0)
        return (k * (ny + 1) + j) * (nx + 1) + i

    @cached_property
    def _node_ids(self) -> NDArray[np.int64]:
        return np.unique(self._corner_ids)

    @cached_property
    def cells(self) -> NDArray[np.int64]:
        """Nodes of each cell in VTK's order, [E, 8]."""
        return np.searchsorted(self._node_ids, self._corner_ids)

    @cached_property
    def points(self) -> NDArray[np.float64]:
        """Coordinates of the nodes, [N, 3], mm."""
        nx, ny, _ = self.mask.shape
        rest, i = np.divmod(self._node_ids, nx + 1)
        k, j = np.divmod(rest, ny + 1)
        return np.stack([i, j, k], axis=1) * np.array(self.spacing) + np.array(self.origin)

    @cached_property
    def edge_index(self) -> NDArray[np.int64]:
        """Voxel edges in both directions, without duplicates, [2, num_edges]."""
        return edges_of_cells({"hexahedron": self.cells}, self.num_nodes)

    def nodes_in(self, other: "HexMesh") -> NDArray[np.int64]:
        """Numbers of this mesh's nodes, [N], in a mesh on the same grid that has its voxels."""
        return np.searchsorted(other._node_ids, self._node_ids)

    @property
    def num_nodes(self) -> int:
        return len(self._node_ids)

    @property
    def num_cells(self) -> int:
        return len(self.cell_index)

    def __repr__(self) -> str:
        return f"HexMesh({self.num_cells} cells, {self.num_nodes} nodes, spacing={self.spacing} mm)"


def check_on_plate(mesh: HexMesh) -> None:
    """Refuse a mesh that does not rest on the build plate, itself or by its supports.

    Raises:
        ValueError: If no voxel of part or supports is in the lowest row.
    """
    on_plate = mesh.mask[:, :, 0].any()
    if not on_plate and (mesh.supports is None or not mesh.supports[:, :, 0].any()):
        raise ValueError(
            "expected a part that rests on the plate (got a mesh without voxels in its lowest "
            "row); generate supports (--supports auto), put the part on the plate (--place drop), "
            "or remove the empty rows of the mask"
        )
