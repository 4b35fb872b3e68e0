"""An encoder with message passing between neighbouring nodes."""

import torch
from torch import Tensor, nn

from flare_mesh.nn.edge_checks import check_edges
from flare_mesh.nn.encoders.point_encoder import PointEncoder
from flare_mesh.nn.option_checks import check_at_least, check_positive
from flare_mesh.nn.residual_mlp import ResidualMLP
from flare_mesh.ops.radius_graph import radius_graph


class _Message(nn.Module):
    """MLP of [h_j, p_j - p_i, |p_j - p_i|]; PointNetConv passes the first two."""

    def __init__(self, channels: int, pos_dim: int) -> None:
        super().__init__()
        self.pos_dim = pos_dim
        self.mlp = ResidualMLP(channels + pos_dim + 1, channels, channels, 0)

    def forward(self, inputs: Tensor) -> Tensor:
        length = inputs[:, -self.pos_dim :].norm(dim=-1, keepdim=True)
        message = self.mlp(torch.cat([inputs, length], dim=-1))
        return message.to(inputs.dtype)  # under autocast the mean is in float32


class GraphEncoder(PointEncoder):
    r"""Message passing over mesh edges or a radius graph.

    .. math::
        h_i^0 = \mathrm{MLP}([p_i, x_i]), \qquad
        h_i^{l+1} = h_i^l + \mathrm{mean}_{j \to i}\,
        \phi^l\!\left([h_j^l,\ (p_j - p_i)/s,\ |p_j - p_i|/s]\right)

    The layers are PyG's :class:`~torch_geometric.nn.PointNetConv` (PointNet++, arXiv 1706.02413)
    with these departures: the mean over neighbours instead of the maximum, so that over a radius
    graph a layer approximates a kernel integral (Li et al. 2020, arXiv 2003.03485), whatever the
    density of the mesh; the distance in addition to the relative position; a residual. Messages
    are invariant to translations. A node without neighbours keeps its initial embedding.

    Other arguments as in :class:`PointEncoder`.

    Args:
        num_layers: Number of message-passing layers; with 0 the initial embedding is the output.
        radius: Radius of the graph that is built if ``forward`` gets no edges, in units of
            ``pos``; see :func:`~flare_mesh.ops.radius_graph.radius_graph`. It is also the length s;
            without it s = 1.
        max_neighbors: Largest number of neighbours of a node in that graph, the nearest ones.

    Shapes:
        As :class:`PointEncoder`; edges run from ``edge_index[0]`` to ``edge_index[1]`` and take
        the place of the radius graph: for a fixed mesh, search once and pass them.

    Raises:
        ValueError: If sizes or shapes do not fit, there are neither edges nor a radius, or an
            edge has a node that does not exist or nodes of two graphs.
    """

    pointwise = False
    _OPTIONS = ("num_layers", "radius", "max_neighbors")

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        pos_dim: int,
        *,
        num_layers: int = 2,
        radius: float | None = None,
        max_neighbors: int = 32,
    ) -> None:
        super().__init__(in_channels, hidden_channels, pos_dim)
        check_at_least(self, 0, num_layers=num_layers)
        check_at_least(self, 1, max_neighbors=max_neighbors)
        if radius is not None:
            check_positive(self, radius=radius)
        from torch_geometric.nn import PointNetConv  # its import takes seconds

        self.num_layers, self.radius, self.max_neighbors = num_layers, radius, max_neighbors
        c = hidden_channels
        self.embedding = ResidualMLP(pos_dim + in_channels, c, c, 2, output_residual=True)
        self.layers = nn.ModuleList(
            PointNetConv(_Message(c, pos_dim), aggr="mean", add_self_loops=False)
            for _ in range(num_layers)
        )

    def reset_parameters(self) -> None:
        self.embedding.reset_parameters()
        for layer in self.layers:
            layer.reset_parameters()  # pyright: ignore[reportCallIssue]

    def embed(self, nodes: Tensor, pos: Tensor, ptr: Tensor | None, edges: Tensor | None) -> Tensor:
        if edges is None:
            if self.radius is None:
                raise ValueError(
                    "GraphEncoder: expected edges (got neither 'edge_index' nor a radius); pass "
                    "edge_index [2, E], for example the edges of the mesh, or build the encoder "
                    "with radius=..."
                )
            edges = radius_graph(pos, self.radius, ptr, max_neighbors=self.max_neighbors)
        elif not torch.compiler.is_compiling():
            check_edges(self, edges, len(pos), ptr)
        h = self.embedding(nodes)
        scaled = pos if self.radius is None else pos / self.radius
        for layer in self.layers:
            h = h + layer(h, scaled, edges)
        return h
