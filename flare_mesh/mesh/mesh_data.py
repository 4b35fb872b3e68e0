"""Mesh as PyG data."""

import json
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch_geometric.data import Data

from flare_mesh.mesh import convert
from flare_mesh.mesh.boundary import boundary_faces
from flare_mesh.mesh.cell_storage import (
    VTK_CODES,
    by_type,
    cell_sizes,
    in_cell_order,
    no_cells,
    pack_cells,
    unpack_cells,
)
from flare_mesh.mesh.cells import CELL_TYPES, check_node_numbers, edges_of_cells
from flare_mesh.mesh.checks import check_mesh
from flare_mesh.mesh.geometry import (
    cell_centroids,
    cell_measures,
    quadrature_weights,
    top_dimensional_cells,
)
from flare_mesh.mesh.mesh_storage import CELL_PREFIX, MeshStorage, check_origin, is_cell_field
from flare_mesh.mesh.normals import node_normals
from flare_mesh.mesh.transfer import cell_to_node, node_to_cell

if TYPE_CHECKING:
    import meshio
    import pyvista
    import trimesh

_TEXTS = ("field_units", "pos_origin")  # stored as text


class MeshData(Data):
    """A :class:`torch_geometric.data.Data` with cells of several types, and fields on them.

    Coordinates are ``pos`` [N, d]. The cells are stored in two flat tensors, as in VTK:
    ``cell_index``, the nodes of all cells one after the other, and ``cell_type`` [E], the VTK
    number of each cell's type. Therefore meshes of different types can be batched, and the order of
    cells is preserved. The cells of one type are also available under meshio's name of the type:
    ``data.hexahedron`` [E, 8].

    Any other tensor with N rows is a node field. A tensor whose key begins with ``cell_`` is a cell
    field, with one row per cell in the order of ``cell_type``.

    Batching, splitting, ``subgraph`` and copying preserve all of these. PyG's neighbour samplers do
    not support cells: give them :meth:`to_graph`.

    Args:
        pos: Coordinates, [N, d], d up to 3.
        units: Unit of each field, by name.
        fields: Cells by type, node fields, cell fields, and other attributes of PyG's data.

    Shapes:
        ``cell_index`` [nodes of all cells], ``cell_type`` [E].

    Raises:
        ValueError: If a table of cells does not have the shape of its type.
    """

    if TYPE_CHECKING:
        pos: Tensor  # pyright: ignore[reportIncompatibleMethodOverride]
        cell_index: Tensor
        cell_type: Tensor

    def __init__(
        self, pos: Tensor | None = None, *, units: Mapping[str, str] | None = None, **fields: Any
    ) -> None:
        cells = {key: fields.pop(key) for key in [*fields] if key in VTK_CODES}
        super().__init__()
        vars(self)["_store"] = MeshStorage(_parent=self)
        if pos is not None:
            self["pos"] = pos
        self.cell_index, self.cell_type = no_cells()
        self.units = units or {}
        for key, value in {**cells, **fields}.items():
            self[key] = value

    def __contains__(self, key: str) -> bool:
        return key in self._store

    def __cat_dim__(self, key: str, value: Any, *args: Any, **kwargs: Any) -> Any:
        return 0 if self._is_value(key, value) else super().__cat_dim__(key, value, *args, **kwargs)

    def __inc__(self, key: str, value: Any, *args: Any, **kwargs: Any) -> Any:
        return 0 if self._is_value(key, value) else super().__inc__(key, value, *args, **kwargs)

    def _is_value(self, key: str, value: Any) -> bool:
        """Whether this is a field rather than node numbers.

        PyG decides by "index" and "batch" in a name, and is wrong for ``refractive_index``.
        """
        if not isinstance(value, Tensor) or key in ("edge_index", "face", "batch", "cell_index"):
            return False
        pos = self._store.get("pos")  # num_nodes would call this method
        on_nodes = pos is not None and value.dim() > 0 and len(value) == len(pos)
        return value.is_floating_point() or is_cell_field(key) or on_nodes

    @property
    def cells(self) -> dict[str, Tensor]:
        """Connectivity [E_type, nodes] by meshio's cell type, in order of appearance."""
        return unpack_cells(self.cell_index, self.cell_type)

    @property
    def num_cells(self) -> int:
        """Number of cells of all types."""
        return len(self.cell_type)

    @property
    def node_fields(self) -> dict[str, Tensor]:
        """Tensors with one row per node, except ``pos`` and PyG's own attributes."""
        return {
            key: value
            for key, value in self._store.items()
            if isinstance(value, Tensor)
            and key not in ("pos", "batch", "ptr", "edge_index", "edge_attr")
            and self.is_node_attr(key)
        }

    @property
    def cell_fields(self) -> dict[str, Tensor]:
        """Cell fields by name without the prefix ``cell_``, in the order of ``cell_type``."""
        return {
            key.removeprefix(CELL_PREFIX): value
            for key, value in self._store.items()
            if is_cell_field(key)
        }

    @property
    def case_fields(self) -> dict[str, Tensor]:
        """Fields of the whole case, [1, C], or [B, C] in a batch; none for a mesh of one node."""
        graphs = getattr(self, "num_graphs", 1)
        return {
            key: value
            for key, value in self._store.items()
            if isinstance(value, Tensor)
            and value.dim() == 2
            and value.shape[0] == graphs
            and key not in ("edge_index", "edge_attr", "face")
            and not key.startswith(CELL_PREFIX)
            and not self.is_node_attr(key)
        }

    @property
    def units(self) -> dict[str, str]:
        """Units of the fields; in a batch, the units of the first mesh."""
        known = self._store.get("field_units", "{}")
        # A batch collects them in a list.
        return json.loads(known[0] if isinstance(known, list) else known)

    @units.setter
    def units(self, units: Mapping[str, str]) -> None:
        # As text, since PyG would split a mapping.
        self._store["field_units"] = json.dumps(dict(units))

    @property
    def origin(self) -> tuple[float, float, float] | None:
        """Point that was subtracted from the coordinates, and is added where the mesh is written.

        None if nothing was subtracted; in a batch, the origin of the first mesh.
        """
        known = self._store.get("pos_origin")
        known = known[0] if isinstance(known, list) else known
        return None if known is None else check_origin(json.loads(known))

    @origin.setter
    def origin(self, origin: Sequence[float] | None) -> None:
        # As text, since a tensor in float64 cannot go to every device.
        if origin is None:
            self._store.pop("pos_origin", None)
        else:
            self._store["pos_origin"] = json.dumps(check_origin(origin))

    def node_to_cell(self, values: Tensor) -> Tensor:
        """Values [E, ...] of a node field [N, ...] at the centres of the cells."""
        return in_cell_order(node_to_cell(values, self.cells), self.cell_type)

    def cell_to_node(self, values: Tensor) -> Tensor:
        """Means [N, ...] of a cell field [E, ...] over the cells at each node."""
        return cell_to_node(by_type(values, self.cell_type), self.pos, self.cells)

    @property
    def measures(self) -> Tensor:
        """Length, area or volume of each cell, [E], in the unit of ``pos``."""
        measures = cell_measures(self.pos, self.cells).values()
        return in_cell_order(torch.cat([self.pos[:0, 0], *measures]), self.cell_type)

    @property
    def centroids(self) -> Tensor:
        """Centroid of each cell, [E, d]."""
        centroids = cell_centroids(self.pos, self.cells).values()
        return in_cell_order(torch.cat([self.pos[:0], *centroids]), self.cell_type)

    @property
    def quadrature_weights(self) -> Tensor:
        """Quadrature weights of the nodes: shares of length, area or volume (lumped mass), [N]."""
        return quadrature_weights(self.pos, self.cells)

    @property
    def node_normals(self) -> Tensor:
        """Unit normals at the nodes of the boundary, or of a surface mesh, [N, d]; zero inside."""
        cells = top_dimensional_cells(self.cells)
        solid = CELL_TYPES[next(iter(cells))].dim == self.pos.shape[1]
        return node_normals(self.pos, boundary_faces(cells).faces if solid else cells)

    def boundary(self) -> "MeshData":
        """The boundary as a mesh of outward faces.

        Returns:
            The boundary nodes with their fields; ``n_id`` [nodes], their numbers in this mesh; and
            the cell field ``cell_owner`` [faces], the cell behind each face.
        """
        faces, owners = boundary_faces(self.cells)
        index, types = pack_cells(faces)
        n_id, number = index.unique(return_inverse=True)
        out = MeshData(self.pos[n_id])
        out.origin = self.origin
        for name, values in self.node_fields.items():
            out[name] = values[n_id]
        out.n_id = n_id
        out.cell_index, out.cell_type = number, types
        owner = torch.cat([index[:0], *owners.values()])
        rows = torch.arange(self.num_cells, device=owner.device)
        out.cell_owner = by_type(rows, self.cell_type)[owner]
        return out

    def check(self, allow: Collection[str] = ()) -> "MeshData":
        """Check the mesh by :func:`~flare_mesh.mesh.checks.check_mesh`, and return it."""
        check_mesh(self.pos, self.cells, allow=allow)
        return self

    def edges(self) -> Tensor:
        """The edges of all cells in both directions, [2, num_edges], as for ``edge_index``."""
        cells = {kind: nodes.numpy(force=True) for kind, nodes in self.cells.items()}
        for kind, nodes in cells.items():
            check_node_numbers(kind, nodes, len(self.pos))
        edges = edges_of_cells(cells, len(self.pos))
        return torch.from_numpy(edges).to(self.cell_index.device)

    def subgraph(self, subset: Tensor) -> "MeshData":
        """The nodes ``subset``, numbers or a mask, with the edges and cells between them."""
        if subset.dtype == torch.bool:
            subset = subset.nonzero()[:, 0]
        number = self.cell_index.new_full((len(self.pos),), -1)
        number[subset] = torch.arange(len(subset), device=number.device)
        sizes = cell_sizes(self.cell_type)
        cell = torch.arange(len(sizes), device=sizes.device).repeat_interleave(sizes)
        whole = torch.ones_like(sizes, dtype=torch.bool)
        whole[cell[number[self.cell_index] < 0]] = False
        out: Any = super(MeshData, self.cell_subgraph(whole)).subgraph(subset)
        out.cell_index = number[out.cell_index]
        return out

    def cell_subgraph(self, mask: Tensor) -> "MeshData":
        """All nodes, and the cells where ``mask`` [E] is true, with their fields."""
        out = self.__copy__()
        out.cell_index = self.cell_index[mask.repeat_interleave(cell_sizes(self.cell_type))]
        out.cell_type = self.cell_type[mask]
        for name, values in self.cell_fields.items():
            out[CELL_PREFIX + name] = values[mask]
        return out

    def to_graph(self) -> Data:
        """Nodes, edges and node fields without cells, as plain data for PyG's samplers."""
        keys = [key for key in self._store.keys() if not key.startswith(CELL_PREFIX)]  # noqa: SIM118
        return Data.from_dict({key: self[key] for key in keys if key not in _TEXTS})

    @classmethod
    def from_meshio(cls, mesh: "meshio.Mesh", **options: Any) -> "MeshData":
        """See :func:`flare_mesh.mesh.convert.from_meshio`."""
        return convert.from_meshio(cls, mesh, **options)

    @classmethod
    def from_pyvista(cls, mesh: "pyvista.DataSet", **options: Any) -> "MeshData":
        """See :func:`flare_mesh.mesh.convert.from_pyvista`."""
        return convert.from_pyvista(cls, mesh, **options)

    @classmethod
    def from_trimesh(cls, mesh: "trimesh.Trimesh", **options: Any) -> "MeshData":
        """See :func:`flare_mesh.mesh.convert.from_trimesh`."""
        return convert.from_trimesh(cls, mesh, **options)

    def to_meshio(self) -> "meshio.Mesh":
        """See :func:`flare_mesh.mesh.convert.to_meshio`."""
        return convert.to_meshio(self)

    def to_pyvista(self) -> "pyvista.UnstructuredGrid":
        """See :func:`flare_mesh.mesh.convert.to_pyvista`."""
        return convert.to_pyvista(self)

    def to_trimesh(self) -> "trimesh.Trimesh":
        """See :func:`flare_mesh.mesh.convert.to_trimesh`."""
        return convert.to_trimesh(self)
