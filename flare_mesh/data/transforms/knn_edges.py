"""Edges from the nearest neighbours."""

from torch_geometric.data.datapipes import functional_transform

from flare_mesh.data.transforms.radius_edges import RadiusEdges


@functional_transform("knn_edges")
class KNNEdges(RadiusEdges):
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
        super().__init__(float("inf"), max_neighbors=k)
