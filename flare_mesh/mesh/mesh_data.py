"""A mesh as PyG data."""

import json
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch_geometric.data import Data

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
from flare_mesh.mesh.mesh_storage import CELL_PREFIX, MeshStorage, is_cell_field
from flare_mesh.mesh.normals import node_normals
from flare_mesh.mesh.transfer import cell_to_node, node_to_cell

if TYPE_CHECKING:
    import meshio
    import pyvista
    import trimesh


class MeshData(Data):
    """A :class:`torch_geometric.data.Data` with cells of any mix of types, and fields on them.

    Coordinates are ``pos`` [N, d]. The cells stand in two flat tensors, as VTK keeps them:
    ``cell_index``, the nodes of all cells one after the other, and ``cell_type`` [E], each cell's
    type by VTK's number. So meshes of different types batch, and nothing is reordered. The cells
    of one type can be read and given under meshio's name of the type: ``data.hexahedron`` [E, 8].

    Any other tensor with N rows is a node field. A tensor under a key that begins with ``cell_``
    is a cell field, one row a cell in the order of ``cell_type``.

    Batching, splitting, ``subgraph`` and copies keep all of it. PyG's neighbour sampling knows no
    cells: give it :meth:`to_graph`.

    Args:
        pos: [N, d], d up to 3.
        units: Unit of each field, by name.
        fields: Cells by type, node fields, cell fields, and whatever else PyG's data has.

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
        self.units = {}
        for key, value in {**cells, **fields}.items():
            self[key] = value
        if units:
            self.units = units

    def __contains__(self, key: str) -> bool:
        return key in self._store

    def __cat_dim__(self, key: str, value: Any, *args: Any, **kwargs: Any) -> Any:
        return 0 if self._is_value(key, value) else super().__cat_dim__(key, value, *args, **kwargs)

    def __inc__(self, key: str, value: Any, *args: Any, **kwargs: Any) -> Any:
        return 0 if self._is_value(key, value) else super().__inc__(key, value, *args, **kwargs)

    def _is_value(self, key: str, value: Any) -> bool:
        """Whether these are values, which PyG would take for node numbers by the name alone.

        It looks for "index" and "batch" in a name, as in ``refractive_index``.
        """
        if not isinstance(value, Tensor) or key in ("edge_index", "face", "batch", "cell_index"):
            return False
        pos = self._store.get("pos")  # num_nodes would ask again
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
        """Tensors with one row a node, beside ``pos`` and what PyG itself uses."""
        return {
            key: value
            for key, value in self._store.items()
            if isinstance(value, Tensor)
            and key not in ("pos", "batch", "ptr", "edge_index", "edge_attr")
            and self.is_node_attr(key)
        }

    @property
    def cell_fields(self) -> dict[str, Tensor]:
        """Cell fields by name without the prefix ``cell_``, rows in the order of ``cell_type``."""
        return {
            key.removeprefix(CELL_PREFIX): value
            for key, value in self._store.items()
            if is_cell_field(key)
        }

    @property
    def case_fields(self) -> dict[str, Tensor]:
        """Fields of the whole mesh, [1, C], or [B, C] in a batch; none in a mesh of one node."""
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
        """Unit of each field that has one; in a batch, of the first mesh."""
        known = self._store.get("field_units", "{}")
        # A batch collects them in a list.
        return json.loads(known[0] if isinstance(known, list) else known)

    @units.setter
    def units(self, units: Mapping[str, str]) -> None:
        # Text: PyG would take a mapping apart.
        self._store["field_units"] = json.dumps(dict(units))

    def node_to_cell(self, values: Tensor) -> Tensor:
        """A node field [N, ...] as the values at the cells' centres, [E, ...]."""
        return in_cell_order(node_to_cell(values, self.cells), self.cell_type)

    def cell_to_node(self, values: Tensor) -> Tensor:
        """A cell field [E, ...] as averages over the cells around each node, [N, ...]."""
        return cell_to_node(by_type(values, self.cell_type), self.pos, self.cells)

    @property
    def measures(self) -> Tensor:
        """Length, area or volume of each cell, [E], in the unit of ``pos``."""
        measures = cell_measures(self.pos, self.cells).values()
        return in_cell_order(torch.cat([self.pos[:0, 0], *measures]), self.cell_type)

    @property
    def centroids(self) -> Tensor:
        """Centre of each cell, [E, d]."""
        centroids = cell_centroids(self.pos, self.cells).values()
        return in_cell_order(torch.cat([self.pos[:0], *centroids]), self.cell_type)

    @property
    def quadrature_weights(self) -> Tensor:
        """Each node's share of length, area or volume (lumped mass), [N]."""
        return quadrature_weights(self.pos, self.cells)

    @property
    def node_normals(self) -> Tensor:
        """Unit normals at the nodes of the boundary, or of a surface mesh, [N, d]; zero inside."""
        cells = top_dimensional_cells(self.cells)
        solid = CELL_TYPES[next(iter(cells))].dim == self.pos.shape[1]
        return node_normals(self.pos, boundary_faces(cells).faces if solid else cells)

    def boundary(self) -> "MeshData":
        """The faces that belong to a single cell, as a mesh of its own, oriented outward.

        Returns:
            The nodes on it with their fields, ``n_id`` [nodes], their numbers in this mesh, and
            the cell field ``cell_owner`` [faces], the cell behind each face.
        """
        faces, owners = boundary_faces(self.cells)
        index, types = pack_cells(faces)
        n_id, number = index.unique(return_inverse=True)
        out = MeshData(self.pos[n_id])
        for name, values in self.node_fields.items():
            out[name] = values[n_id]
        out.n_id = n_id
        out.cell_index, out.cell_type = number, types
        owner = torch.cat([index[:0], *owners.values()])
        rows = torch.arange(self.num_cells, device=owner.device)
        out.cell_owner = by_type(rows, self.cell_type)[owner]
        return out

    def check(self, allow: Collection[str] = ()) -> "MeshData":
        """The mesh itself, if :func:`~flare_mesh.mesh.checks.check_mesh` finds no fault."""
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
        """The nodes ``subset``, numbers or a mask, with the edges and cells that lie in them."""
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
        """Nodes, edges and node fields alone, as plain data, for PyG's samplers."""
        kept = [key for key in self._store.keys() if not key.startswith(CELL_PREFIX)]  # noqa: SIM118
        return Data.from_dict({key: self[key] for key in kept if key != "field_units"})

    @classmethod
    def from_meshio(cls, mesh: "meshio.Mesh", **options: Any) -> "MeshData":
        """See :func:`flare_mesh.mesh.convert.from_meshio`."""
        from flare_mesh.mesh.convert import from_meshio

        return from_meshio(mesh, **options)

    @classmethod
    def from_pyvista(cls, mesh: "pyvista.DataSet", **options: Any) -> "MeshData":
        """See :func:`flare_mesh.mesh.convert.from_pyvista`."""
        from flare_mesh.mesh.convert import from_pyvista

        return from_pyvista(mesh, **options)

    @classmethod
    def from_trimesh(cls, mesh: "trimesh.Trimesh", **options: Any) -> "MeshData":
        """See :func:`flare_mesh.mesh.convert.from_trimesh`."""
        from flare_mesh.mesh.convert import from_trimesh

        return from_trimesh(mesh, **options)

    def to_meshio(self) -> "meshio.Mesh":
        """See :func:`flare_mesh.mesh.convert.to_meshio`."""
        from flare_mesh.mesh.convert import to_meshio

        return to_meshio(self)

    def to_pyvista(self) -> "pyvista.UnstructuredGrid":
        """See :func:`flare_mesh.mesh.convert.to_pyvista`."""
        from flare_mesh.mesh.convert import to_pyvista

        return to_pyvista(self)

    def to_trimesh(self) -> "trimesh.Trimesh":
        """See :func:`flare_mesh.mesh.convert.to_trimesh`."""
        from flare_mesh.mesh.convert import to_trimesh

        return to_trimesh(self)
