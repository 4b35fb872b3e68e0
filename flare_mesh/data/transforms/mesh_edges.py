"""Edges of the cells."""

from torch_geometric.data import Data
from torch_geometric.data.datapipes import functional_transform
from torch_geometric.transforms import BaseTransform

from flare_mesh.data.transforms.checks import check_single
from flare_mesh.mesh.mesh_data import MeshData


@functional_transform("mesh_edges")
class MeshEdges(BaseTransform):
    """Add the edges of the cells in both directions, without duplicates.

    PyG adds relative positions and lengths as edge attributes:
    ``Compose([MeshEdges(), Cartesian(norm=False), Distance(norm=False)])``.

    Shapes:
        needs a :class:`~flare_mesh.MeshData` with cells; sets ``edge_index`` [2, E].

    Raises:
        ValueError: On access, if the data is a batch or has no cells.
    """

    def forward(self, data: Data) -> Data:
        check_single(data, "MeshEdges")
        if not isinstance(data, MeshData) or not data.num_cells:
            raise ValueError(
                "MeshEdges: expected a MeshData with cells (got none); for points without cells "
                "use KNNEdges or RadiusEdges, for triangles in PyG's 'face' FaceToEdge"
            )
        data.edge_index = data.edges()
        return data
