"""A mesh as PyG data."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch_geometric.data import Data

from flare_mesh.data.cell_storage import (
    VTK_CODES,
    cell_sizes,
    no_cells,
    unpack_cells,
)
from flare_mesh.data.cells import edges_of_cells
from flare_mesh.data.mesh_io import write_mesh
from flare_mesh.data.mesh_storage import CELL_PREFIX, MeshStorage, is_cell_field

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
        super().__init__(pos=pos)
        self.__dict__["_store"] = MeshStorage(_parent=self)
        if pos is not None:
            self.pos = pos
        self.cell_index, self.cell_type = no_cells()
        for key, value in {**cells, **fields}.items():
            self[key] = value
        if units:
            self.units = units

    def __contains__(self, key: str) -> bool:
        return key in self._store

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
    def units(self) -> dict[str, str]:
        """Unit of each field that has one; in a batch, of the first mesh."""
        known = self._store.get("field_units", ())
        # A batch collects them in a list.
        return dict(known[0] if isinstance(known, list) else known)

    @units.setter
    def units(self, units: Mapping[str, str]) -> None:
        # A tuple: PyG would collate a mapping key by key.
        self._store["field_units"] = tuple(units.items())

    def edges(self) -> Tensor:
        """The edges of all cells in both directions, [2, num_edges], as for ``edge_index``."""
        cells = {kind: nodes.numpy(force=True) for kind, nodes in self.cells.items()}
        edges = edges_of_cells(cells, len(self.pos))
        return torch.from_numpy(edges).to(self.cell_index.device)

    def subgraph(self, subset: Tensor) -> "MeshData":
        """The nodes ``subset``, numbers or a mask, with the edges and cells that lie in them."""
        if subset.dtype == torch.bool:
            subset = subset.nonzero()[:, 0]
        out = super().subgraph(subset)
        number = self.cell_index.new_full((len(self.pos),), -1)
        number[subset] = torch.arange(len(subset), device=number.device)
        index = number[self.cell_index]
        sizes = cell_sizes(self.cell_type)
        cell = torch.arange(len(sizes), device=sizes.device).repeat_interleave(sizes)
        kept = torch.ones_like(sizes, dtype=torch.bool)
        kept[cell[index < 0]] = False
        out.cell_index, out.cell_type = index[kept[cell]], self.cell_type[kept]
        for name, values in self.cell_fields.items():
            out[CELL_PREFIX + name] = values[kept]
        return out

    def to_graph(self) -> Data:
        """Nodes, edges and node fields alone, as plain data, for PyG's samplers."""
        kept = [key for key in self._store.keys() if not key.startswith(CELL_PREFIX)]  # noqa: SIM118
        return Data.from_dict({key: self[key] for key in kept if key != "field_units"})

    @classmethod
    def from_meshio(cls, mesh: "meshio.Mesh", **options: Any) -> "MeshData":
        """See :func:`flare_mesh.data.convert.from_meshio`."""
        from flare_mesh.data.convert import from_meshio

        return from_meshio(mesh, **options)

    @classmethod
    def from_pyvista(cls, mesh: "pyvista.DataSet", **options: Any) -> "MeshData":
        """See :func:`flare_mesh.data.convert.from_pyvista`."""
        from flare_mesh.data.convert import from_pyvista

        return from_pyvista(mesh, **options)

    @classmethod
    def from_trimesh(cls, mesh: "trimesh.Trimesh", **options: Any) -> "MeshData":
        """See :func:`flare_mesh.data.convert.from_trimesh`."""
        from flare_mesh.data.convert import from_trimesh

        return from_trimesh(mesh, **options)

    def to_meshio(self) -> "meshio.Mesh":
        """See :func:`flare_mesh.data.convert.to_meshio`."""
        from flare_mesh.data.convert import to_meshio

        return to_meshio(self)

    def to_pyvista(self) -> "pyvista.UnstructuredGrid":
        """See :func:`flare_mesh.data.convert.to_pyvista`."""
        from flare_mesh.data.convert import to_pyvista

        return to_pyvista(self)

    def to_trimesh(self) -> "trimesh.Trimesh":
        """See :func:`flare_mesh.data.convert.to_trimesh`."""
        from flare_mesh.data.convert import to_trimesh

        return to_trimesh(self)

    def save(self, path: str | Path, **fields: Tensor) -> None:
        """Writes points, cells, all fields and more node ``fields`` [N, ...] to a mesh file.

        See :func:`flare_mesh.data.write_mesh` for the formats and errors.
        """
        whole = self.__copy__()
        for name, values in fields.items():
            whole[name] = values
        write_mesh(path, whole.to_meshio())
