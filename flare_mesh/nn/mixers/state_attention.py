"""Base class of attention through a state of fixed size, of any order."""

from abc import abstractmethod

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from flare_mesh.nn.feature_maps import FeatureMap
from flare_mesh.nn.graphs import Graphs
from flare_mesh.nn.mixing_layer import MixingLayer
from flare_mesh.nn.node_weights import node_shares
from flare_mesh.nn.option_checks import check_heads
from flare_mesh.nn.residual_mlp import ResidualMLP
from flare_mesh.ops.graph_products import GraphProducts
from flare_mesh.ops.precision import wide


class StateAttention(MixingLayer):
    """Base of mixing layers that read products of queries from means of products of the nodes.

    Projections are :class:`~flare_mesh.nn.ResidualMLP` of C; after the heads come LayerNorm and a
    Linear, as in the comparison's code (vpuri3/FLARE.py). Sums over the nodes are weighted means in
    single precision or better, of the graph's own nodes: that code divides by the padded length, in
    the precision of the input.

    Args:
        channels: Channels C.
        heads: Heads H; divides C.
        queries: Names of the queries.
        keys: Names of the keys.
        values: Names of the values.
        proj_layers: Residual hidden layers of each projection; -1 for a Linear plus its input.
        feature_map: Map of queries and keys, by name; see
            :class:`~flare_mesh.nn.feature_maps.FeatureMap`. One for all of them and all heads.
        normalize: Whether queries and keys are then divided by their norm in each head.
    """

    def __init__(
        self,
        channels: int,
        heads: int,
        *,
        queries: int = 1,
        keys: int = 1,
        values: int = 1,
        proj_layers: int = -1,
        feature_map: str = "identity",
        normalize: bool = False,
    ) -> None:
        super().__init__()
        check_heads(self, channels, heads)
        self.heads, self.normalize = heads, normalize
        self.counts = queries, keys, values
        self.projections = nn.ModuleList(
            ResidualMLP(
                *(channels, channels, channels, proj_layers),
                input_residual=True,
                output_residual=True,
            )
            for _ in range(queries + keys + values)
        )
        self.features = FeatureMap(feature_map, channels // heads)
        self.norm = nn.LayerNorm(channels)
        self.out = nn.Linear(channels, channels)

    def reset_parameters(self) -> None:
        """Draw the feature map; a model draws the Linear layers."""
        self.features.reset_parameters()

    def forward(self, x: Tensor, graphs: Graphs) -> Tensor:
        products = graphs.layout.products(x.shape[0])
        projected = [layer(x).unflatten(-1, (self.heads, -1)) for layer in self.projections]
        with torch.autocast(x.device.type, enabled=False):
            queries, keys, values = ([wide(t) for t in part] for part in self._split(projected))
            queries, keys = ([self.features(t) for t in part] for part in (queries, keys))
            if self.normalize:
                queries = [normalize(t, dim=-1) for t in queries]
                keys = [normalize(t, dim=-1) for t in keys]
            share = node_shares(graphs, products, values[0])
            mixed = self.mix(queries, keys, values, share, products)
        return self.out(self.norm(mixed.flatten(-2).to(projected[0].dtype)))

    def _split(self, projected: list[Tensor]) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        q, k, _ = self.counts
        return projected[:q], projected[q : q + k], projected[q + k :]

    @abstractmethod
    def mix(
        self,
        queries: list[Tensor],
        keys: list[Tensor],
        values: list[Tensor],
        share: Tensor,
        products: GraphProducts,
    ) -> Tensor:
        """The output of the heads [N, H, D].

        Args:
            queries: [N, H, D] each.
            keys: [N, H, D] each.
            values: [N, H, D] each.
            share: Weight of each node over that of its graph, [N, 1, 1].
            products: Sums over the nodes of each graph.
        """
