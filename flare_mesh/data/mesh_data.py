"""A mesh as PyG data."""

from typing import TYPE_CHECKING, Any

import meshio
import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Data

from flare_mesh.data.cells import CELL_NODES, check_node_numbers, edges_of_cells
from flare_mesh.data.mesh_io import write_mesh

if TYPE_CHECKING:
    import pyvista


# Names that mean something else in a PyG graph.
_RESERVED = {"pos", "edge_index", "batch", "ptr", *CELL_NODES}


class MeshData(Data):
    """A :class:`torch_geometric.data.Data` whose cells survive batching.

    Coordinates are ``pos`` [N, 3]. Connectivity stands under meshio's cell types
    (``hexahedron`` [E, 8], ``tetra`` [E, 4], ...), one row a cell; in a batch its node numbers are
    offset. Any other attribute with N rows is a node field.
    """

    if TYPE_CHECKING:
        pos: Tensor  # pyright: ignore[reportIncompatibleMethodOverride]

    def __cat_dim__(self, key: str, value: Any, *args: Any, **kwargs: Any) -> Any:
        return 0 if key in CELL_NODES else super().__cat_dim__(key, value, *args, **kwargs)

    def __inc__(self, key: str, value: Any, *args: Any, **kwargs: Any) -> Any:
        return self.num_nodes if key in CELL_NODES else super().__inc__(key, value, *args, **kwargs)

    def is_node_attr(self, key: str) -> bool:
        # PyG goes by the number of rows, which cells may share with the nodes.
        return key not in CELL_NODES and super().is_node_attr(key)

    @property
    def cells(self) -> dict[str, Tensor]:
        """Connectivity by cell type."""
        return {key: self[key] for key in CELL_NODES if key in self}

    @property
    def node_fields(self) -> dict[str, Tensor]:
        """The node fields: real-valued tensors with one row a node, beside ``pos``."""
        return {
            key: value
            for key, value in self.to_dict().items()
            if isinstance(value, Tensor)
            and value.is_floating_point()
            and key != "pos"
            and value.dim()
            and value.shape[0] == self.num_nodes
            and key not in CELL_NODES
        }

    @classmethod
    def from_meshio(cls, mesh: meshio.Mesh) -> "MeshData":
        """Points, cells, their edges, and point data of a meshio mesh; flat points get z = 0.

        Raises:
            ValueError: If a coordinate is not finite, a cell type is not supported, a cell names
                a node that does not exist, or a field bears a name that :class:`MeshData` needs.
        """
        if not np.isfinite(mesh.points).all():
            bad = int((~np.isfinite(mesh.points)).any(axis=1).sum())
            raise ValueError(f"{bad} points have NaN or infinite coordinates")
        points = np.zeros((len(mesh.points), 3), dtype=np.float32)
        points[:, : mesh.points.shape[1]] = mesh.points
        data = cls(pos=torch.from_numpy(points))
        cells = mesh.cells_dict  # put together anew at each access
        for cell_type, nodes in cells.items():
            if cell_type not in CELL_NODES:
                raise ValueError(
                    f"cells of type '{cell_type}' are not supported; "
                    f"expected one of {', '.join(CELL_NODES)}"
                )
            check_node_numbers(cell_type, nodes, len(points))
            data[cell_type] = torch.from_numpy(nodes.astype(np.int64))
        data.edge_index = torch.from_numpy(edges_of_cells(cells, len(points)))
        for name, values in mesh.point_data.items():
            if name in _RESERVED:
                raise ValueError(f"the field name '{name}' is taken; rename that field")
            data[name] = torch.from_numpy(np.asarray(values, dtype=np.float32))
        return data

    def save(self, path: Any, **fields: Tensor) -> None:
        """Writes points, cells, node fields and more ``fields`` [N, ...] to a mesh file."""
        everything = {**self.node_fields, **fields}
        write_mesh(
            path,
            self.pos.numpy(force=True),
            {key: nodes.numpy(force=True) for key, nodes in self.cells.items()},
            {key: value.numpy(force=True) for key, value in everything.items()},
        )

    def to_pyvista(self) -> "pyvista.UnstructuredGrid":
        """The mesh with its node fields, for PyVista."""
        import pyvista

        grid = pyvista.from_meshio(
            meshio.Mesh(
                self.pos.numpy(force=True).astype(np.float64),
                [(key, nodes.numpy(force=True)) for key, nodes in self.cells.items()],
            )
        )
        for key, value in self.node_fields.items():
            grid.point_data[key] = value.numpy(force=True)
        return grid
