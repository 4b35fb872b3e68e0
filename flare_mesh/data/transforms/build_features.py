"""Features of a voxel part on the build plate."""

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.data.datapipes import functional_transform
from torch_geometric.transforms import BaseTransform
from torch_geometric.utils import scatter

from flare_mesh.data.transforms.channels import Channel, components
from flare_mesh.data.transforms.checks import check_single


@functional_transform("build_features")
class BuildFeatures(BaseTransform):
    """Append 14 geometric features of a voxel part on the build plate to ``x``.

    A new layer shrinks towards the centre of its own cross-section, and the material around and
    below constrains it. Therefore the features of each node are, relative to ``length``:

    - the extents of the part (3), which attention, a mean over nodes, cannot represent;
    - the offset from the centre of the connected cross-section at its height (2), and the
      half-widths of that cross-section (2);
    - the offset from the centre of the uninterrupted row of nodes along x, and along y (2), and the
      half-lengths of these rows (2): the walls around the node;
    - the same for the row along z (1 + 1): the material below and above;

    and the fraction of solid cells around it (1; less than one on the surface).

    Args:
        length: Reference length, mm.

    Shapes:
        needs ``pos`` [N, 3], ``edge_index`` and ``hexahedron``; changes ``x`` [N, C + 14], C = 0
        without ``x``.
    """

    APPENDS = True
    CHANNELS = 14
    VECTORS = (3, 7)
    """First of the (x, y) columns of each vector, among the features."""
    SIZES = (0, 5, 9)
    """First of the (x, y) columns of each pair of lengths, which swap in a 90-degree rotation."""

    def __init__(self, length: float = 30.0) -> None:
        self.length = length

    def forward(self, data: Data) -> Data:
        pos = data.pos
        assert isinstance(pos, Tensor)
        check_single(data, "BuildFeatures")
        extents = (pos.amax(0) - pos.amin(0)).expand_as(pos)
        if data.edge_index is None or "hexahedron" not in data:
            raise ValueError(
                "BuildFeatures: expected a part of hexahedra with 'edge_index' (got none); read "
                "it with edges=True, or apply MeshEdges first"
            )
        source, target = data["edge_index"]
        # Axis of each voxel edge: the coordinate in which its ends differ most.
        direction = (pos[target] - pos[source]).abs().argmax(1)

        def spans(axes: tuple[int, ...]) -> tuple[Tensor, Tensor]:
            """Offset from the centre and half-width of nodes connected by edges along ``axes``."""
            along = torch.isin(direction, torch.tensor(axes))
            group = _components(source[along], target[along], len(pos))
            place = pos[:, axes]
            low, high = (scatter(place, group, reduce=kind)[group] for kind in ("min", "max"))
            return place - (low + high) / 2, (high - low) / 2

        (x, half_x), (y, half_y) = spans((0,)), spans((1,))
        lengths = [extents, *spans((0, 1)), x, y, half_x, half_y, *spans((2,))]
        solid = torch.bincount(data["hexahedron"].flatten(), minlength=len(pos))[:, None] / 8.0
        found = torch.cat([torch.cat(lengths, dim=1) / self.length, solid], dim=1)
        data.x = found if data.x is None else torch.cat([data.x, found], dim=1)
        return data

    def channels(self, pos_dim: int) -> tuple[Channel, ...]:
        """The channels of x; lengths are relative to ``length``."""
        return (
            *components("part extent along", "xyz", kind="size"),
            *components("offset in the cross-section along", "xy", kind="vector"),
            *components("half-width of the cross-section along", "xy", kind="size"),
            *components("offset in the row along", "xy", kind="vector"),
            *components("half-length of the row along", "xy", kind="size"),
            Channel("offset in the row along z"),
            Channel("half-length of the row along z"),
            Channel("solid fraction"),
        )


def _components(source: Tensor, target: Tensor, num_nodes: int) -> Tensor:
    """Number of the connected component of each node, [N]."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    ends = (source.numpy(), target.numpy())
    graph = coo_matrix((np.ones(len(source)), ends), shape=(num_nodes, num_nodes))
    labels = connected_components(graph, directed=False)[1]
    return torch.from_numpy(labels.astype(np.int64))
