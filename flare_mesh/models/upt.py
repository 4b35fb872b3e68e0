"""The Universal Physics Transformer."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from flare_mesh.models.nodes import Nodes
from flare_mesh.models.query_model import QueryModel, check_box
from flare_mesh.nn.init import init_linear
from flare_mesh.nn.latent_block import LatentBlock
from flare_mesh.nn.option_checks import check_at_least, check_choice, check_positive
from flare_mesh.nn.positions import Box, box_of, sincos
from flare_mesh.nn.supernode_pooling import SupernodePooling
from flare_mesh.nn.token_block import Keys, TokenBlock
from flare_mesh.ops.supernodes import find_supernodes

_QUERIES = ("pos", "features")


class UPTTokens(NamedTuple):
    """An encoded batch: the boxes of the graphs, and keys and values of their latents."""

    box: Box
    keys: Keys


class UPT(QueryModel):
    r"""Universal Physics Transformer (arXiv 2402.12365): supernodes, latents, and point queries.

    .. math::
        h_n &= W f_n + \mathrm{sincos}(p_n), \quad
        z_s = \sum_{n \in \mathcal N(s)} \rho_{sn}\, \mathrm{MLP}([h_n, h_s]) \\
        Z &= \mathrm{Block}_E(\dots \mathrm{Block}_1(z)), \quad
        L = \mathrm{Block}_L(\dots \mathrm{Block}_1(\mathrm{Pool}(Q, Z))) \\
        y_n &= W_y\, \mathrm{Norm}(\mathrm{Perceiver}(\mathrm{MLP}(\mathrm{sincos}(p_n)), L))

    The supernodes s are a sample of the nodes, :math:`\mathcal N(s)` their nearest neighbours
    within a radius, :math:`\rho` the node weights scaled to the sum 1. The positions are scaled in
    a box, see ``box``. Pool and Perceiver are :class:`~flare_mesh.nn.token_block.TokenBlock`.
    Nodes outside all neighbourhoods have no influence, as in the authors' code: choose
    ``num_supernodes`` and ``max_neighbors`` so that each node is a neighbour. The cost is
    O(N S) for the search, O(N C (C + M)) for the nodes, and O(S^2 C + M^2 C) for each block.

    Departures from the authors' tutorial (BenediktAlkin/upt-tutorial), whose sizes are the
    defaults: the supernodes are not drawn at random but by
    :func:`~flare_mesh.ops.supernodes.find_supernodes`, so that a prediction is reproducible and
    independent of the order of the nodes; graphs may have different sizes; in every attention to
    supernodes each has the weight of the nodes that it stands for, which is nearly the same for
    all without node weights; the nearest neighbours within the radius are taken (there, any), and
    there is no radius by default, as one depends on the mesh. The blocks of the approximator and
    of the decoder follow each other and are counted together. GELU is the tanh form except in the
    messages (the authors' is exact; they differ by up to 5e-4), LayerNorm adds 1e-5 (there 1e-6).
    There is no condition on a time step; give the time as a feature.

    Sizes and options without an entry are as in :class:`~flare_mesh.FLAREOperator`.

    Args:
        num_layers: Number of blocks on the latents.
        encoder_layers: Number of blocks on the supernodes.
        num_supernodes: Largest number S of supernodes of a graph.
        num_latents: Latents M.
        mlp_ratio: Width of the blocks' MLPs over C.
        max_neighbors: Largest number of neighbours of a supernode, itself included.
        radius: Largest distance of a neighbour in scaled coordinates, or None for any.
        length: Length that the longest edge of the box is scaled to; hundreds, as the waves of
            sincos have wavelengths from 6 to 60,000.
        box: Smallest and largest coordinate, [low, high], the same for all axes and graphs. None
            for the bounding box of each graph: then the size of a part and its place do not
            matter, unless they are features.
        query: Input of the queries: ``"pos"``, or ``"features"`` for
            :math:`\mathrm{sincos}(p) + W' f`.

    Shapes:
        As :meth:`FieldModel.forward`. Means over neighbours are weighted by ``weight``.

    Raises:
        ValueError: If a size or option does not fit.
    """

    NAME = "upt"
    encoder: Sequence[TokenBlock]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        hidden_channels: int = 192,
        num_layers: int = 8,
        encoder_layers: int = 4,
        heads: int = 3,
        num_supernodes: int = 512,
        num_latents: int = 128,
        pos_dim: int = 3,
        mlp_ratio: float = 4.0,
        max_neighbors: int = 32,
        radius: float | None = None,
        length: float = 200.0,
        box: Sequence[float] | None = None,
        query: str = "pos",
        act: str = "gelu",
    ) -> None:
        super().__init__({**locals(), "box": check_box(self, box)})
        check_choice(self, _QUERIES, query=query)
        check_at_least(self, 0, encoder_layers=encoder_layers)
        check_at_least(self, 1, num_supernodes=num_supernodes, max_neighbors=max_neighbors)
        check_positive(self, length=length, **({} if radius is None else {"radius": radius}))
        check_at_least(self, 2 * pos_dim, hidden_channels=hidden_channels)
        c = hidden_channels
        with_features = in_channels > 0 and query == "features"
        self.features = nn.Linear(in_channels, c) if in_channels else None
        self.pooling = SupernodePooling(c)
        self.encoder = nn.ModuleList(  # pyright: ignore[reportAttributeAccessIssue]
            TokenBlock(c, heads, mlp_ratio=mlp_ratio, act=act) for _ in range(encoder_layers)
        )
        self.latents = nn.Parameter(torch.empty(num_latents, c))
        self.pool = TokenBlock(c, heads, mlp_ratio=mlp_ratio, cross=True, act=act)
        self.blocks = nn.ModuleList(
            LatentBlock(c, heads, mlp_ratio=mlp_ratio, bias=True, act=act)
            for _ in range(num_layers)
        )
        self.query_features = nn.Linear(in_channels, c) if with_features else None
        self.query = nn.Sequential(nn.Linear(c, c), nn.GELU(), nn.Linear(c, c))
        self.read = TokenBlock(c, heads, mlp_ratio=mlp_ratio, cross=True, act=act)
        self.norm = nn.LayerNorm(c)
        self.head = nn.Linear(c, out_channels)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Linear weights from N(0, 0.02), biases 0, latents from a truncated N(0, 1).

        The messages have torch's default initialisation, all as in the authors' code.
        """
        init_linear(self)
        self.pooling.reset_parameters()
        nn.init.trunc_normal_(self.latents)

    def encode_nodes(self, nodes: Nodes) -> UPTTokens:
        layout, log_weight, _ = nodes.graphs
        options = self.config
        box = box_of(nodes.pos, layout, options["length"], options["box"])
        places = box.place(nodes.pos, layout)
        supernodes = find_supernodes(
            places,
            nodes.features(),
            layout,
            log_weight,
            num_supernodes=options["num_supernodes"],
            max_neighbors=options["max_neighbors"],
            radius=options["radius"],
        )
        h = self._embed(places, nodes, self.features)
        tokens = self.pooling(h, supernodes).to(h.dtype)
        bias = supernodes.log_measure
        for block in self.encoder:
            tokens, _ = block.mix(tokens, bias)
        latents = self.latents.to(tokens.dtype).expand(layout.num_graphs, -1, -1)
        latents = self.pool(latents, self.pool.keys(tokens, bias))
        for block in self.blocks:
            latents = block(latents)
        return UPTTokens(box, self.read.keys(latents))

    def decode_nodes(self, tokens: UPTTokens, nodes: Nodes) -> Tensor:
        layout = nodes.graphs.layout
        places = tokens.box.place(nodes.pos, layout)
        h = self.query(self._embed(places, nodes, self.query_features))
        return self.head(self.norm(self.read(h, tokens.keys, layout=layout)))

    def _embed(self, places: Tensor, nodes: Nodes, project: nn.Module | None) -> Tensor:
        """Position and features of the nodes, [N, C]."""
        h = sincos(places, self.config["hidden_channels"]).to(nodes.pos.dtype)
        return h if project is None or nodes.x is None else h + project(nodes.x)
