"""The Anchored-Branched Universal Physics Transformer."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from torch import Tensor, nn

from flare_mesh.models.anchors import Anchors, anchors_at, no_anchors
from flare_mesh.models.branches import split_branches
from flare_mesh.models.nodes import Nodes
from flare_mesh.models.query_model import QueryModel, check_box
from flare_mesh.nn.init import init_linear
from flare_mesh.nn.option_checks import check_at_least, check_positive
from flare_mesh.nn.positions import Box, box_of, rotation, sincos
from flare_mesh.nn.relative_pooling import RelativePooling
from flare_mesh.nn.token_block import Keys, TokenBlock
from flare_mesh.ops.supernodes import find_supernodes


class AnchorTokens(NamedTuple):
    """An encoded batch: the boxes of the graphs, and what the queries of each block attend to.

    Attributes:
        box: The boxes.
        keys: Keys of each block; with two branches those of the volume's queries.
        surface_keys: Keys of each block for queries of the surface; none with one branch.
    """

    box: Box
    keys: list[Keys]
    surface_keys: list[Keys] | None = None


class ABUPT(QueryModel):
    r"""Anchored-Branched Universal Physics Transformer (AB-UPT, arXiv 2502.09692).

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

    With ``surface``, the nodes of the surface and those of the volume are two branches, as in the
    paper. Each has anchors, first and last layers of its own; the geometry is that of the surface.
    They share the Perceiver block and the L blocks, in which the nodes of a branch attend to its
    own anchors and to those of the other branch in turn, beginning with its own. Then follow
    ``branch_layers`` blocks of each branch on its own anchors. In a graph without nodes of a branch
    the attention to its anchors is 0.

    Departures from the authors' tutorial: the geometry has the same points as the fields (with
    branches, as those of the surface), and the anchors are its supernodes (there, three random
    samples). Without branches their layers "p s c s c s" and six blocks of the branch are one
    Perceiver block and ``num_layers = 11``. Both branches have all fields. Messages depend on
    relative positions (their mode "relpos"; the default has both positions, and C^2 more
    parameters). Features f are added to the positions (there are none there); without them the
    equations are theirs. There is no conditioning, and no head for a field free of divergence.
    Graphs may have different sizes. Supernodes, the weight of each in the attention, neighbours,
    GELU and LayerNorm differ as in :class:`~flare_mesh.models.UPT`; the authors' radius is 0.25 in
    units of their scaled coordinates, up to 1,000.

    Sizes and options without an entry are as in :class:`~flare_mesh.models.UPT`.

    Args:
        num_layers: Number L of blocks of anchor attention, of all branches.
        geometry_layers: Number of blocks on the tokens of the geometry.
        num_anchors: Largest number S of anchors of a graph, or of each branch.
        surface: Channel of x that is positive at nodes of the surface and zero or negative in the
            volume, such as ``boundary`` of :class:`~flare_mesh.data.transforms.GeometryFeatures`,
            normalised or not. The model uses its sign only. None for one branch.
        branch_layers: Number of further blocks of each branch; the published size has 5 blocks and
            6 of each branch.

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
        surface: int | None = None,
        branch_layers: int = 0,
        pos_dim: int = 3,
        mlp_ratio: float = 4.0,
        max_neighbors: int = 32,
        radius: float | None = None,
        length: float = 1000.0,
        box: Sequence[float] | None = None,
        act: str = "gelu",
    ) -> None:
        super().__init__({**locals(), "box": check_box(self, box)})
        check_at_least(self, 0, geometry_layers=geometry_layers, branch_layers=branch_layers)
        check_at_least(self, 1, num_anchors=num_anchors, max_neighbors=max_neighbors)
        check_positive(self, length=length, **({} if radius is None else {"radius": radius}))
        self._check_surface(in_channels, surface, branch_layers)
        c = hidden_channels
        if c // heads < 2 * pos_dim or c < 2 * pos_dim + 2:
            least = max(2 * pos_dim * heads, 2 * pos_dim + 2)
            raise ValueError(
                f"ABUPT: expected 'hidden_channels' >= {least} for {heads} heads in {pos_dim} "
                f"dimensions, as each axis rotates two channels of a head (got {c}); "
                "take fewer heads or more channels"
            )

        def embedding() -> nn.Module:
            return nn.Sequential(nn.Linear(c, c), nn.GELU(), nn.Linear(c, c))

        def blocks(number: int) -> Any:
            return nn.ModuleList(
                TokenBlock(c, heads, mlp_ratio=mlp_ratio, act=act) for _ in range(number)
            )

        features = in_channels - (surface is not None)
        self.features = nn.Linear(features, c) if features else None
        self.pooling = RelativePooling(c)
        self.geometry = blocks(geometry_layers)
        self.embed = embedding()
        self.perceiver = TokenBlock(c, heads, mlp_ratio=mlp_ratio, cross=True, act=act)
        self.blocks = blocks(num_layers)
        self.head = nn.Linear(c, out_channels)
        self.surface_embed = None if surface is None else embedding()
        self.volume_blocks = None if surface is None else blocks(branch_layers)
        self.surface_blocks = None if surface is None else blocks(branch_layers)
        self.surface_head = None if surface is None else nn.Linear(c, out_channels)
        self.reset_parameters()

    def _check_surface(self, in_channels: int, surface: int | None, branch_layers: int) -> None:
        if surface is None and branch_layers:
            raise ValueError(
                f"ABUPT: expected 'surface', the channel of x that tells the branches apart, with "
                f"branch_layers={branch_layers} (got None); give it, or more 'num_layers' instead"
            )
        if surface is not None and not 0 <= surface < in_channels:
            raise ValueError(
                f"ABUPT: expected 'surface' to be a channel of x, 0 to {in_channels - 1} (got "
                f"{surface}, of {in_channels} channels); add one by the feature 'boundary' of the "
                f"transform 'geometry_features'"
            )

    def reset_parameters(self) -> None:
        """Linear weights from N(0, 0.02), biases 0, as in the authors' code."""
        init_linear(self)

    def encode_nodes(self, nodes: Nodes) -> AnchorTokens:
        options = self.config
        box = box_of(nodes.pos, nodes.graphs.layout, options["length"], options["box"])
        if options["surface"] is None:
            anchors = self._anchors(box, nodes, options["max_neighbors"])
            geometry = self._geometry(box, nodes, anchors)
            return AnchorTokens(box, *self._keys([anchors], geometry))
        volume, surface, _ = split_branches(nodes, options["surface"])
        inside = self._anchors(box, volume, 1)  # neighbours are those of the geometry
        outside = self._anchors(box, surface, options["max_neighbors"])
        geometry = self._geometry(box, surface, outside)
        return AnchorTokens(box, *self._keys([inside, outside], geometry))

    def decode_nodes(self, tokens: AnchorTokens, nodes: Nodes) -> Tensor:
        if tokens.surface_keys is None:
            return self._decode(0, tokens.box, tokens.keys, nodes)
        branches = split_branches(nodes, self.config["surface"])
        return branches.join(
            self._decode(0, tokens.box, tokens.keys, branches.volume),
            self._decode(1, tokens.box, tokens.surface_keys, branches.surface),
        )

    def _anchors(self, box: Box, nodes: Nodes, max_neighbors: int) -> Anchors:
        layout, log_weight, _ = nodes.graphs
        places, features = box.place(nodes.pos, layout), self._features(nodes)
        two = self.config["surface"] is not None
        # shape, not len: with len, exported code has a fixed number of nodes
        if two and places.shape[0] == 0:
            return no_anchors(places, features, layout.num_graphs, self._head_channels)
        supernodes = find_supernodes(
            places,
            nodes.features(),
            layout,
            log_weight,
            num_supernodes=self.config["num_anchors"],
            max_neighbors=max_neighbors,
            radius=self.config["radius"],
        )
        return anchors_at(places, features, supernodes, self._head_channels, may_lack=two)

    def _geometry(self, box: Box, nodes: Nodes, anchors: Anchors) -> Keys:
        """What the Perceiver block attends to, from messages of nodes to their anchors."""
        if anchors.supernodes is None:
            shape = (*anchors.places.shape[:2], self.config["hidden_channels"])
            return anchors.keys(self.perceiver, nodes.pos.new_zeros(shape))
        places = box.place(nodes.pos, nodes.graphs.layout)
        tokens = self.pooling(places, self._features(nodes), anchors.supernodes)
        for block in self.geometry:
            tokens = block(tokens, anchors.keys(block, tokens), anchors.turn)
        return anchors.keys(self.perceiver, tokens)

    def _keys(self, anchors: list[Anchors], geometry: Keys) -> list[list[Keys]]:
        """What the nodes of each branch attend to in its blocks, the geometry first."""
        branches = range(len(anchors))
        keys = [[geometry] for _ in branches]
        tokens = [
            self.perceiver(self._embed(branch, one.places, one.features), geometry, one.turn)
            for branch, one in enumerate(anchors)
        ]

        def update(branch: int, block: TokenBlock, seen: Keys) -> None:
            keys[branch].append(seen)
            if len(keys[branch]) <= len(self._blocks(branch)):  # the last one is for queries only
                tokens[branch] = block(tokens[branch], seen, anchors[branch].turn)

        for number, block in enumerate(self.blocks):
            own = [anchors[branch].keys(block, tokens[branch]) for branch in branches]
            for branch, seen in enumerate(own[::-1] if number % 2 and len(own) > 1 else own):
                update(branch, block, seen)
        for branch in branches:
            for block in self._blocks(branch)[len(self.blocks) :]:
                update(branch, block, anchors[branch].keys(block, tokens[branch]))
        return keys

    def _decode(self, branch: int, box: Box, keys: list[Keys], nodes: Nodes) -> Tensor:
        layout = nodes.graphs.layout
        places = box.place(nodes.pos, layout)
        turn = rotation(places, self._head_channels)
        h = self._embed(branch, places, self._features(nodes))
        for block, seen in zip([self.perceiver, *self._blocks(branch)], keys, strict=True):
            h = block(h, seen, turn, layout)
        head = self.surface_head if branch else self.head
        assert head is not None
        return head(h)

    def _blocks(self, branch: int) -> list[TokenBlock]:
        """Blocks after the Perceiver; branch 1 of two is the surface."""
        own = (
            [] if self.volume_blocks is None else [self.volume_blocks, self.surface_blocks][branch]
        )
        return [*self.blocks, *own]

    @property
    def _head_channels(self) -> int:
        return self.config["hidden_channels"] // self.config["heads"]

    def _features(self, nodes: Nodes) -> Tensor | None:
        return None if self.features is None else self.features(nodes.x)

    def _embed(self, branch: int, places: Tensor, features: Tensor | None) -> Tensor:
        dtype = next(self.head.parameters()).dtype
        waves = sincos(places, self.config["hidden_channels"]).to(dtype)
        embed = self.surface_embed if branch else self.embed
        assert embed is not None
        return embed(waves if features is None else waves + features)
