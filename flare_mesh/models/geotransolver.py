"""GeoTransolver, a baseline of FLARE."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from flare_mesh.models.field_model import FieldModel
from flare_mesh.models.nodes import Nodes
from flare_mesh.nn.edge_checks import check_edges
from flare_mesh.nn.gale_attention import GALEAttention
from flare_mesh.nn.gale_flare_attention import GALEFlareAttention
from flare_mesh.nn.global_features import check_global_channels, graph_means, split_channels
from flare_mesh.nn.graphs import Graphs
from flare_mesh.nn.init import init_truncated
from flare_mesh.nn.local_geometry import LocalGeometry
from flare_mesh.nn.mixing_block import MixingBlock
from flare_mesh.nn.option_checks import check_choice
from flare_mesh.nn.slice_context import SliceContext
from flare_mesh.ops.layout import equal_layout
from flare_mesh.ops.neighbor_table import neighbor_table

_MIXERS = {"slices": GALEAttention, "flare": GALEFlareAttention}


class GeoTransolver(FieldModel):
    r"""Transolver whose slices attend to the geometry in every layer (arXiv 2512.20399).

    .. math::
        f^r_i = \mathrm{LocalGeometry}_r(p)_i, \quad
        h_i = [\mathrm{MLP}([p_i, x_i]),\ f^1_i, f^2_i, \dots], \quad
        c = [\mathrm{Context}_1(f^1), \mathrm{Context}_2(f^2), \dots, \mathrm{Context}_0(p),
        \mathrm{Context}_g(g)]

    Features f of the neighbours within each radius
    (:class:`~flare_mesh.nn.local_geometry.LocalGeometry`) are appended to the embedding of a node.
    They and the coordinates are averaged into slices
    (:class:`~flare_mesh.nn.slice_context.SliceContext`), the context c of all layers
    (:class:`~flare_mesh.nn.gale_attention.GALEAttention`). With ``global_channels``, quantities g
    of the case are a further part of it, as slices of a single node. A norm and a Linear follow the
    blocks. It costs O(N C (C + G)), and a sort of the edges.

    Departures from the code in NVIDIA's PhysicsNeMo: the neighbours come from ``edge_index`` (there
    each pass searches them), in two dimensions as well, and those at equal distances are ranked by
    coordinates; the averages of slices are those of Transolver, with node weights; the temperatures
    have a gradient beyond their limits; the initial weights are Transolver's too. There is one
    field (there one for the surface and one for the volume), and no form for grids.

    Sizes and options without an entry are as in :class:`~flare_mesh.FLAREOperator`.

    Args:
        num_slices: Slices G of each head, of the context and of the layers, or latents.
        mixer: ``"slices"``, or ``"flare"`` for FLARE in place of slices
            (:class:`~flare_mesh.nn.gale_flare_attention.GALEFlareAttention`), with the same
            context.
        mixing: How layers mix the attention to the context with the other one, ``"gate"`` or
            ``"concat"``, see :class:`~flare_mesh.nn.context_mix.ContextMix`.
        mlp_ratio: Width of the blocks' hidden layers over their C.
        radii: Radii of the neighbourhoods, in units of ``pos`` as the model gets it (after its
            normaliser); empty for none.
        neighbors: Points of each neighbourhood, the node itself included and the nearest first.
        local_channels: Features of each neighbourhood.
        global_channels: Channels of x that are constant over each case, such as a load: they are
            part of the context and no features of the nodes. Of others the mean over the case is
            taken.

    Shapes:
        As :meth:`FieldModel.forward`. ``edge_index`` is needed where there are radii: edges from
        ``edge_index[0]`` to ``edge_index[1]``, from all neighbours within the largest radius, or
        from the nearest ``max(neighbors) - 1`` of them, as
        :class:`~flare_mesh.data.transforms.RadiusEdges` adds. ``weight`` weighs the nodes in the
        averages of the slices; only its ratios within a graph matter.

    Raises:
        ValueError: If an option is unknown, a size does not fit, or the edges are missing.
    """

    NAME = "geotransolver"

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        hidden_channels: int = 256,
        num_layers: int = 4,
        heads: int = 8,
        num_slices: int = 32,
        mixer: str = "slices",
        mixing: str = "gate",
        mlp_ratio: float = 4.0,
        radii: Sequence[float] = (0.05, 0.25),
        neighbors: Sequence[int] = (8, 32),
        local_channels: int = 32,
        global_channels: Sequence[int] = (),
        pos_dim: int = 3,
        checkpointing: bool = False,
    ) -> None:
        super().__init__(
            {
                **locals(),
                "radii": [*radii],
                "neighbors": [*neighbors],
                "global_channels": [*global_channels],
            }
        )
        check_global_channels(self, in_channels, global_channels)
        check_choice(self, [*_MIXERS], mixer=mixer)
        if len(radii) != len(neighbors):
            raise ValueError(
                f"GeoTransolver: expected as many 'neighbors' as 'radii' (got {len(neighbors)} and "
                f"{len(radii)})"
            )
        c = hidden_channels
        width = c + local_channels * len(radii)
        if width % heads:
            raise ValueError(
                f"GeoTransolver: expected 'hidden_channels' plus 'local_channels' for each radius "
                f"to be divisible by 'heads' (got {width} channels, {heads} heads)"
            )
        features = pos_dim + in_channels - len(global_channels)
        self.embed = nn.Sequential(nn.Linear(features, 2 * c), nn.GELU(), nn.Linear(2 * c, c))
        self.local = nn.ModuleList(
            LocalGeometry(pos_dim, radius, number, local_channels)
            for radius, number in zip(radii, neighbors, strict=True)
        )
        sources = [*[local_channels] * len(radii), pos_dim]
        sources += [len(global_channels)] if global_channels else []
        self.contexts = nn.ModuleList(SliceContext(f, c, heads, num_slices) for f in sources)
        how = {"context_channels": len(sources) * (c // heads), "mixing": mixing}
        self.blocks = nn.ModuleList(
            MixingBlock(width, _MIXERS[mixer](width, heads, num_slices, **how), mlp_ratio=mlp_ratio)
            for _ in range(num_layers)
        )
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, out_channels)
        self.reset_parameters()

    @property
    def uses_edges(self) -> bool:
        """Whether there are neighbourhoods."""
        return len(self.local) > 0

    def edge_transform(self, has_cells: bool) -> str | dict[str, Any]:
        # By number, as the radii are in the unit of the normalised coordinates.
        return {"knn_edges": {"k": max(1, max(self.config["neighbors"]) - 1)}}

    def reset_parameters(self) -> None:
        """Linear weights from a truncated N(0, 0.02), biases 0, gates 0, latents from N(0, 1)."""
        init_truncated(self)

    def evaluate(self, nodes: Nodes) -> Tensor:
        pos, graphs = nodes.pos, nodes.graphs
        own, of_case = split_channels(nodes.x, self.config["global_channels"])
        local = self._local_features(nodes)
        sources = [(one, graphs) for one in (*local, pos)]
        if of_case is not None:
            means = graph_means(of_case, graphs)
            sources.append((means, Graphs(equal_layout(len(means), 1, means.device))))
        slices = [one(*source) for one, source in zip(self.contexts, sources, strict=True)]
        context = torch.cat(slices, dim=-1)
        features = pos if own is None else torch.cat([pos, own], dim=-1)
        # The residual stream is in the precision of pos under autocast too.
        h = torch.cat([self.embed(features), *local], dim=-1).to(pos.dtype)
        for block in self.blocks:
            h = self.run_block(block, h, graphs, context)
        return self.head(self.norm(h))

    def _local_features(self, nodes: Nodes) -> list[Tensor]:
        if not self.uses_edges:
            return []
        radii, size = self.config["radii"], max(self.config["neighbors"]) - 1
        if nodes.edge_index is None:
            raise ValueError(
                f"GeoTransolver: expected 'edge_index' [2, E], the neighbours of each node (got "
                f"None); add them by the transform 'radius_edges' with radius={max(radii)} and "
                f"max_neighbors={max(1, size)} (in a configuration under data.features), pass "
                f"edge_index, or leave out neighbourhoods by radii=[] and neighbors=[]"
            )
        if not torch.compiler.is_compiling():
            layout = nodes.graphs.layout
            ptr = None if layout.num_graphs == 1 else layout.ptr
            check_edges(self, nodes.edge_index, nodes.pos.shape[0], ptr)
        table = neighbor_table(nodes.pos, nodes.edge_index, size)
        return [local(nodes.pos, *table) for local in self.local]
