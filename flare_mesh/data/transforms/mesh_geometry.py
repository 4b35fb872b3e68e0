"""Geometric features of one mesh."""

from functools import cached_property

import torch
from torch import Tensor
from torch_geometric.data import Data

from flare_mesh.data.transforms.checks import optional_weight, positions
from flare_mesh.data.transforms.mesh_kinds import axes_of_kind, cells_of_kind, oriented_faces
from flare_mesh.mesh.boundary import BoundaryFaces, boundary_faces
from flare_mesh.mesh.curvature import mean_curvature
from flare_mesh.mesh.face_distance import face_offset
from flare_mesh.mesh.geometry import cell_measures, quadrature_weights
from flare_mesh.mesh.normals import node_normals
from flare_mesh.mesh.orientation import count_reversed_edges
from flare_mesh.mesh.window_moments import mass_points, window_moments

CONTEXT_WIDTHS = (1 / 24, 1 / 12, 1 / 6)
"""Standard deviations of the context's windows over the largest extent, each twice the last."""

# Smaller extents count as this part of the largest one, smaller weights as this part of the mean.
_SMALLEST_EXTENT, _SMALLEST_WEIGHT = 1e-4, 1e-6


class MeshGeometry:
    """The features of :class:`~flare_mesh.data.transforms.GeometryFeatures`, each [N, channels].

    All are computed in float64 from the centred coordinates.

    Args:
        data: A single mesh with ``pos`` [N, d].
        kind: Kind of the mesh, see :data:`~flare_mesh.data.transforms.mesh_kinds.KINDS`.
        name: The transform's name, for messages.

    Attributes:
        centred: Coordinates relative to the middle of the bounding box, [N, d].

    Raises:
        ValueError: If the mesh is not of the kind, or has no extent.
    """

    def __init__(self, data: Data, kind: str, name: str) -> None:
        pos = positions(data, name).detach().double()
        if not len(pos):
            raise ValueError(f"{name}: expected at least one node (got none)")
        low, high = pos.amin(0), pos.amax(0)
        extent = high - low
        if not 0 < float(extent.max()) < torch.inf:
            raise ValueError(
                f"{name}: expected finite coordinates that differ (got a size of {extent.tolist()})"
            )
        self._data, self._kind, self._name = data, kind, name
        self._cells = cells_of_kind(data, kind, name)
        self.centred = pos - (low + high) / 2
        axes = axes_of_kind(extent, kind, name)
        self._pos = self.centred[:, axes].contiguous()
        self._extent = extent[axes].clamp(min=_SMALLEST_EXTENT * float(extent.max()))
        self._length = float(extent.max()) / 2

    def position(self) -> Tensor:
        """Coordinates over the half extents."""
        return self._pos / (self._extent / 2)

    def size(self) -> Tensor:
        """Logarithms of the extents and of the measure, the same at all nodes."""
        values = [*self._extent]
        if self._kind != "points":
            values.append(self._weights.sum())
            if not values[-1] > 0:
                raise ValueError(f"{self._name}: expected cells with a measure (got 0)")
        return torch.stack(values).log().expand(len(self._pos), -1)

    def boundary_distance(self) -> Tensor:
        """Distance from the nearest boundary face over half the largest extent."""
        return self._offset[0][:, None] / self._length

    def boundary_direction(self) -> Tensor:
        """Direction from the nearest boundary point, the inward normal at boundary nodes."""
        distance, offset = self._offset
        inside = distance > 0
        return torch.where(
            inside[:, None],
            offset / distance.clamp(min=torch.finfo(distance.dtype).tiny)[:, None],
            -self.normals(),
        )

    def boundary(self) -> Tensor:
        """1 at the nodes of boundary faces, 0 at others."""
        marks = self._pos.new_zeros(len(self._pos), 1)
        for nodes in self._boundary.faces.values():
            marks[nodes.reshape(-1)] = 1.0
        return marks

    def normals(self) -> Tensor:
        """Unit normals of the surface or of the boundary, 0 inside."""
        if self._kind == "surface":
            self._check_orientation("normals")
            return node_normals(self._pos, self._cells)
        faces, owners = self._boundary
        measures = cell_measures(self._pos, self._cells)
        return node_normals(self._pos, oriented_faces(faces, owners, measures))

    def curvature(self) -> Tensor:
        """``asinh(H L)`` with the mean curvature H and half the largest extent L."""
        self._check_orientation("curvature")
        return (mean_curvature(self._pos, self._cells) * self._length).asinh()[:, None]

    def context(self) -> Tensor:
        """Share of solid, mean offset and variances in Gaussian windows of several widths."""
        dim, widths = self._pos.shape[1], [2 * self._length * width for width in CONTEXT_WIDTHS]
        if self._kind == "points":
            weight = self._node_weights()
            mass = self._pos.new_ones(len(self._pos)) if weight is None else weight
            points, mass, measured = self._pos, mass / mass.sum(), 0
        else:
            measured = 3 if self._kind == "volume" else 2
            points, mass = mass_points(self._pos, self._cells, widths[0])
        found = []
        moments = window_moments(points, mass, self._pos, widths[0], len(widths))
        for width, (density, mean, variance) in zip(widths, moments, strict=True):
            # 1 inside a full space or plane; of points, the share that is in the window.
            full = (2 * torch.pi * width**2) ** ((dim - measured) / 2)
            found += [density[:, None] * full, mean, variance]
        return torch.cat(found, dim=1)

    def weight(self) -> Tensor:
        """Logarithm of the quadrature weights over their mean."""
        weight = self._node_weights()
        if weight is None:
            raise ValueError(
                f"{self._name}: points without 'weight' have no weights; read them with "
                f"weights=True, or leave out weight"
            )
        return (weight / weight.mean()).clamp(min=_SMALLEST_WEIGHT).log()[:, None]

    def _node_weights(self) -> Tensor | None:
        """Weights of the data, otherwise from the cells; None for points without weights."""
        weight = optional_weight(self._data, self._name)
        if weight is None and self._kind != "points":
            weight = self._weights
        return None if weight is None else weight.detach().double()

    @cached_property
    def _offset(self) -> tuple[Tensor, Tensor]:
        """Distance from the nearest boundary face and offset from its nearest point; 0 on it."""
        faces = self._boundary.faces
        if not faces:
            raise ValueError(
                f"{self._name}: a closed surface has no boundary; leave out boundary_distance and "
                f"boundary_direction"
            )
        inside = self.boundary()[:, 0] == 0
        distance, offset = self._pos.new_zeros(len(self._pos)), torch.zeros_like(self._pos)
        distance[inside], offset[inside] = face_offset(self._pos[inside], self._pos, faces)
        return distance, offset

    @cached_property
    def _boundary(self) -> BoundaryFaces:
        return boundary_faces(self._cells)

    @cached_property
    def _weights(self) -> Tensor:
        return quadrature_weights(self._pos, self._cells)

    def _check_orientation(self, feature: str) -> None:
        found = count_reversed_edges(self._cells)
        if found:
            raise ValueError(
                f"{self._name}: expected faces with one orientation for {feature} (got {found} "
                f"edges whose two faces have opposite ones); reorient the faces, for example by "
                f"trimesh.repair.fix_normals, or set normals and curvature to false"
            )
