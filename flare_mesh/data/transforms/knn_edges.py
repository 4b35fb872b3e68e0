"""Edges from the nearest neighbours."""

from torch_geometric.data import Data
from torch_geometric.data.datapipes import functional_transform
from torch_geometric.transforms import BaseTransform

from flare_mesh.data.transforms.checks import check_single, positions


@functional_transform("knn_edges")
class KNNEdges(BaseTransform):
    """Add edges to each node from its ``k`` nearest neighbours, without an extension of PyG.

    Ties between nodes at the same distance, as on a regular grid, are broken by the coordinates,
    not by the order of the nodes. A mesh of at most k nodes is connected completely. See
    :func:`~flare_mesh.ops.radius_graph.radius_graph`, and :class:`MeshEdges` for edge attributes.

    Args:
        k: Number of edges into each node.

    Shapes:
        needs ``pos`` [N, d]; sets ``edge_index`` [2, E], sorted by target, then by source.

    Raises:
        ValueError: If ``k`` is below 1; on access, if the data is a batch or has no positions.
    """

    def __init__(self, k: int) -> None:
        if k < 1:
            raise ValueError(f"KNNEdges: expected k >= 1 (got {k})")
        self.k = k

    def forward(self, data: Data) -> Data:
        from flare_mesh.ops.radius_graph import radius_graph  # only on demand

        check_single(data, "KNNEdges")
        pos = positions(data, "KNNEdges", (1, 2, 3))
        edges = radius_graph(pos.cpu(), float("inf"), max_neighbors=self.k)
        data.edge_index = edges.to(pos.device)
        return data
