"""MeshGraphNet, the local baseline of FLARE."""

import torch
from torch import Tensor, nn

from flare_mesh.models.field_model import FieldModel
from flare_mesh.models.nodes import Nodes
from flare_mesh.nn.edge_checks import check_edges
from flare_mesh.nn.mesh_graph_block import MeshGraphBlock, normed_mlp
from flare_mesh.nn.option_checks import check_choice, check_positive
from flare_mesh.nn.resolver import build_activation

_AGGREGATES = ("messages", "edges")


class MeshGraphNet(FieldModel):
    r"""Message passing along the edges of the mesh (arXiv 2010.03409).

    .. math::
        h_i = \mathrm{MLP}(x_i), \quad
        e_{ij} = \mathrm{MLP}([(p_i - p_j) / s,\ |p_i - p_j| / s]), \quad
        y_i = \mathrm{MLP}(h_i')

    with the :class:`~flare_mesh.nn.mesh_graph_block.MeshGraphBlock` in between. The coordinates p
    enter through the edges only, so that a translation of a mesh does not change the result.
    Without features, all nodes start from the same learned vector. A block reaches the next
    neighbours: a node depends on the nodes within ``num_layers`` edges, and the same fields on a
    finer mesh give another result. The cost is O(E C^2) for E edges.

    Departures from the authors' code: no statistics of the features are collected during training
    (the training normalises inputs and outputs, and ``edge_length`` scales the edges); no
    edges in world space; ``weight``.

    Sizes and options without an entry are as in :class:`~flare_mesh.FLAREOperator`.

    Args:
        num_layers: Number of blocks, each with weights of its own.
        mlp_layers: Hidden layers of each MLP, of C channels.
        edge_length: Typical length s of an edge, in units of ``pos`` as the model gets it (after
            its normaliser); the relative positions are divided by it.
        positions: Whether the coordinates are features of the nodes too.
        aggregate: What a node sums over its edges: ``"messages"``, the update of the edges as in
            the authors' code, or ``"edges"``, the updated edges as in NVIDIA's PhysicsNeMo.

    Shapes:
        As :meth:`FieldModel.forward`; ``edge_index`` is needed. Edges run from ``edge_index[0]``
        to ``edge_index[1]``; give both directions, as
        :class:`~flare_mesh.data.transforms.MeshEdges` does. ``weight`` multiplies each summand
        of a sum over neighbours by the neighbour's weight over their mean: equal weights change
        nothing.

    Raises:
        ValueError: If an option is unknown, a size does not fit, or the edges are missing.
    """

    NAME = "meshgraphnet"

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        hidden_channels: int = 128,
        num_layers: int = 15,
        mlp_layers: int = 2,
        edge_length: float = 1.0,
        positions: bool = False,
        aggregate: str = "messages",
        pos_dim: int = 3,
        act: str = "relu",
        checkpointing: bool = False,
    ) -> None:
        super().__init__(locals())
        check_positive(self, edge_length=edge_length)
        check_choice(self, _AGGREGATES, aggregate=aggregate)
        c = hidden_channels
        features = in_channels + (pos_dim if positions else 0)
        self.embed_nodes = normed_mlp(max(1, features), c, mlp_layers, act)
        self.embed_edges = normed_mlp(pos_dim + 1, c, mlp_layers, act)
        self.blocks = nn.ModuleList(
            MeshGraphBlock(c, mlp_layers, aggregate=aggregate, act=act) for _ in range(num_layers)
        )
        head: list[nn.Module] = []
        for _ in range(mlp_layers):
            head += [nn.Linear(c, c), build_activation(act)]
        self.head = nn.Sequential(*head, nn.Linear(c, out_channels))
        self.reset_parameters()

    @property
    def uses_edges(self) -> bool:
        """True: messages pass along the edges."""
        return True

    def reset_parameters(self) -> None:
        """Weights from a normal distribution truncated at 2 / sqrt(inputs), biases zero.

        Its deviation is 1 / sqrt(inputs) before the truncation, as in the authors' code.
        """
        for module in self.modules():
            if isinstance(module, nn.Linear):
                std = module.in_features**-0.5
                nn.init.trunc_normal_(module.weight, std=std, a=-2 * std, b=2 * std)
                nn.init.zeros_(module.bias)
            elif isinstance(module, nn.LayerNorm):
                module.reset_parameters()

    def evaluate(self, nodes: Nodes) -> Tensor:
        edge_index = self._checked_edges(nodes)
        source, target = edge_index
        shares = _shares(nodes.graphs.log_weight, source, target)
        h = self.embed_nodes(self._node_features(nodes))
        e = self.embed_edges(self._edge_features(nodes.pos, source, target))
        for block in self.blocks:
            h, e = self.run_block(block, h, e, edge_index, shares)
        return self.head(h)

    def _checked_edges(self, nodes: Nodes) -> Tensor:
        if nodes.edge_index is None:
            raise ValueError(
                "MeshGraphNet: expected 'edge_index' of shape [2, E] (got None); add edges by the "
                "transform 'mesh_edges', 'knn_edges' or 'radius_edges' (in a configuration under "
                "data.features), pass edge_index, or take a model without edges, such as 'flare'"
            )
        if not torch.compiler.is_compiling():
            layout = nodes.graphs.layout
            ptr = None if layout.num_graphs == 1 else layout.ptr
            check_edges(self, nodes.edge_index, nodes.pos.shape[0], ptr)
        return nodes.edge_index

    def _node_features(self, nodes: Nodes) -> Tensor:
        if self.config["positions"]:
            return nodes.features()
        return nodes.pos.new_ones(nodes.pos.shape[0], 1) if nodes.x is None else nodes.x

    def _edge_features(self, pos: Tensor, source: Tensor, target: Tensor) -> Tensor:
        relative = pos.index_select(0, target) - pos.index_select(0, source)
        length = relative.norm(dim=-1, keepdim=True)
        return torch.cat([relative, length], dim=-1) / self.config["edge_length"]


def _shares(log_weight: Tensor | None, source: Tensor, target: Tensor) -> Tensor | None:
    """Weight of each edge's source over the mean of the sources of the edges into its target."""
    if log_weight is None:
        return None
    weight = log_weight.exp().index_select(0, source)
    totals = torch.stack([weight, torch.ones_like(weight)], dim=-1)
    sums = totals.new_zeros(len(log_weight), 2).index_add(0, target, totals).index_select(0, target)
    return (weight * sums[:, 1] / sums[:, 0])[:, None]
