"""The Anchored-Branched Universal Physics Transformer."""

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor, nn

from flare_mesh.models.nodes import Nodes
from flare_mesh.models.query_model import QueryModel, check_box
from flare_mesh.nn.init import init_linear
from flare_mesh.nn.option_checks import check_at_least, check_positive
from flare_mesh.nn.positions import Box, box_of, rotation, sincos
from flare_mesh.nn.relative_pooling import RelativePooling
from flare_mesh.nn.token_block import Keys, TokenBlock
from flare_mesh.ops.supernodes import find_supernodes


class AnchorTokens(NamedTuple):
    """An encoded batch: the boxes of the graphs, and what the queries of each block attend to."""

    box: Box
    keys: list[Keys]


class ABUPT(QueryModel):
    r"""Anchored-Branched Universal Physics Transformer, one branch (AB-UPT, arXiv 2502.09692).

    Some nodes of a graph are anchors, its supernodes. Messages of their neighbours make them
    tokens of the geometry; anchors and all nodes then attend to the geometry, and to the anchors:

    .. math::
        g_s &= W_g [\textstyle\sum_n \rho_{sn}\,
        \mathrm{MLP}(\mathrm{sincos}(p_s - p_n, |p_s - p_n|) + W f_n),\ \mathrm{sincos}(p_s)] \\
        G &= \mathrm{Block}(\dots g), \quad
        h_n = \mathrm{MLP}(\mathrm{sincos}(p_n) + W f_n) \\
        h_n &\leftarrow \mathrm{Perceiver}(h_n, G), \quad
        h_n \leftarrow \mathrm{Block}_l(h_n, h_{\mathrm{anchors}}) \ \text{for}\ l = 1 \dots L,
        \quad y_n = W_y h_n

    Queries and keys of all attention are rotated by the positions (RoPE), each axis with an equal
    number of channels of the head. No node but an anchor is seen by others: the nodes can be
    evaluated in chunks, exactly, at cost O(N C (C + S L)) for S anchors. Nodes that are not a
    neighbour of an anchor have no influence on others, as in the authors' code.

    Departures from the authors' tutorial: one branch instead of one for the surface and one for
    the volume, as a mesh here has one set of fields at one set of nodes. So there are no blocks of
    cross-attention between the branches and no weights shared by them: their layers
    "p s c s c s" and six blocks of the branch are here one Perceiver block and ``num_layers = 11``
    of self-attention. The geometry has the same points as the fields, and the anchors are its
    supernodes (there, three random samples). Features f are added to the positions (there are
    none there); without them the equations are theirs. There is no conditioning, and no head for
    a field free of divergence. Graphs may have different sizes. Supernodes, the weight of each in
    the attention, neighbours, GELU and LayerNorm differ as in :class:`~flare_mesh.models.UPT`; the
    authors' radius is 0.25 in units of their scaled coordinates, up to 1,000.

    Sizes and options without an entry are as in :class:`~flare_mesh.models.UPT`.

    Args:
        num_layers: Number L of blocks of anchor attention.
        geometry_layers: Number of blocks on the tokens of the geometry.
        num_anchors: Largest number S of anchors of a graph.

    Shapes:
        As :meth:`FieldModel.forward`. Means over neighbours are weighted by ``weight``.

    Raises:
        ValueError: If a size or option does not fit.
    """

    NAME = "ab_upt"
    geometry: Sequence[TokenBlock]
    blocks: Sequence[TokenBlock]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        hidden_channels: int = 192,
        num_layers: int = 11,
        geometry_layers: int = 1,
        heads: int = 3,
        num_anchors: int = 1024,
        pos_dim: int = 3,
        mlp_ratio: float = 4.0,
        max_neighbors: int = 32,
        radius: float | None = None,
        length: float = 1000.0,
        box: Sequence[float] | None = None,
        act: str = "gelu",
    ) -> None:
        super().__init__({**locals(), "box": check_box(self, box)})
        check_at_least(self, 0, geometry_layers=geometry_layers)
        check_at_least(self, 1, num_anchors=num_anchors, max_neighbors=max_neighbors)
        check_positive(self, length=length, **({} if radius is None else {"radius": radius}))
        c = hidden_channels
        if c // heads < 2 * pos_dim or c < 2 * pos_dim + 2:
            least = max(2 * pos_dim * heads, 2 * pos_dim + 2)
            raise ValueError(
                f"ABUPT: expected 'hidden_channels' >= {least} for {heads} heads in {pos_dim} "
                f"dimensions, as each axis rotates two channels of a head (got {c}); "
                "take fewer heads or more channels"
            )
        self.features = nn.Linear(in_channels, c) if in_channels else None
        self.pooling = RelativePooling(c)
        self.geometry = nn.ModuleList(  # pyright: ignore[reportAttributeAccessIssue]
            TokenBlock(c, heads, mlp_ratio=mlp_ratio, act=act) for _ in range(geometry_layers)
        )
        self.embed = nn.Sequential(nn.Linear(c, c), nn.GELU(), nn.Linear(c, c))
        self.perceiver = TokenBlock(c, heads, mlp_ratio=mlp_ratio, cross=True, act=act)
        self.blocks = nn.ModuleList(  # pyright: ignore[reportAttributeAccessIssue]
            TokenBlock(c, heads, mlp_ratio=mlp_ratio, act=act) for _ in range(num_layers)
        )
        self.head = nn.Linear(c, out_channels)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Linear weights from N(0, 0.02), biases 0, as in the authors' code."""
        init_linear(self)

    def encode_nodes(self, nodes: Nodes) -> AnchorTokens:
        layout, log_weight, _ = nodes.graphs
        options = self.config
        box = box_of(nodes.pos, layout, options["length"], options["box"])
        places = box.place(nodes.pos, layout)
        anchors = find_supernodes(
            places,
            nodes.features(),
            layout,
            log_weight,
            num_supernodes=options["num_anchors"],
            max_neighbors=options["max_neighbors"],
            radius=options["radius"],
        )
        at, bias = places[anchors.node], anchors.log_measure
        turn = rotation(at, options["hidden_channels"] // options["heads"])
        features = self._features(nodes)
        geometry = self.pooling(places, features, anchors)
        for block in self.geometry:
            geometry, _ = block.mix(geometry, bias, turn)

        keys = [self.perceiver.keys(geometry, bias, turn)]
        h = self._embed(at, None if features is None else features[anchors.node])
        h = self.perceiver(h, keys[0], turn)
        for block in self.blocks:
            keys.append(block.keys(h, bias, turn))
            if block is not self.blocks[-1]:
                h = block(h, keys[-1], turn)
        return AnchorTokens(box, keys)

    def decode_nodes(self, tokens: AnchorTokens, nodes: Nodes) -> Tensor:
        layout = nodes.graphs.layout
        places = tokens.box.place(nodes.pos, layout)
        turn = rotation(places, self.config["hidden_channels"] // self.config["heads"])
        h = self._embed(places, self._features(nodes))
        for block, keys in zip([self.perceiver, *self.blocks], tokens.keys, strict=True):
            h = block(h, keys, turn, layout)
        return self.head(h)

    def _features(self, nodes: Nodes) -> Tensor | None:
        return None if self.features is None else self.features(nodes.x)

    def _embed(self, places: Tensor, features: Tensor | None) -> Tensor:
        dtype = next(self.head.parameters()).dtype
        waves = sincos(places, self.config["hidden_channels"]).to(dtype)
        return self.embed(waves if features is None else waves + features)
