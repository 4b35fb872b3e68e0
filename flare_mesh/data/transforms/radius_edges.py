"""Edges from the neighbours within a radius."""

from torch_geometric.data import Data
from torch_geometric.data.datapipes import functional_transform
from torch_geometric.transforms import BaseTransform

from flare_mesh.data.transforms.checks import check_single, positions


@functional_transform("radius_edges")
class RadiusEdges(BaseTransform):
    """Add edges to each node from the neighbours within ``radius``, without an extension of PyG.

    The edges are those of :func:`~flare_mesh.ops.radius_graph.radius_graph`. See :class:`MeshEdges`
    for edge attributes.

    Args:
        radius: Largest distance, in the unit of the positions.
        max_neighbors: Largest number of edges into a node, from the nearest neighbours. None for
            all neighbours, whose number grows with the cube of the radius.

    Shapes:
        needs ``pos`` [N, d]; sets ``edge_index`` [2, E], sorted by target, then by source.

    Raises:
        ValueError: If an option is not positive; on access, if the data is a batch or has no
            positions.
    """

    def __init__(self, radius: float, max_neighbors: int | None = 32) -> None:
        if not radius > 0:
            raise ValueError(f"RadiusEdges: expected radius > 0 (got {radius})")
        if max_neighbors is not None and max_neighbors < 1:
            raise ValueError(f"RadiusEdges: expected max_neighbors >= 1 (got {max_neighbors})")
        self.radius = radius
        self.max_neighbors = max_neighbors

    def forward(self, data: Data) -> Data:
        from flare_mesh.ops.radius_graph import radius_graph  # only on demand

        name = type(self).__name__
        check_single(data, name)
        pos = positions(data, name, (1, 2, 3))
        most = max(1, len(pos)) if self.max_neighbors is None else self.max_neighbors
        edges = radius_graph(pos.cpu(), self.radius, max_neighbors=most)
        data.edge_index = edges.to(pos.device)
        return data
