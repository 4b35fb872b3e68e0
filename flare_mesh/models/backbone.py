"""One backbone for all mixing layers."""

from typing import Any

from torch import Tensor, nn

from flare_mesh.models.block_model import BlockModel
from flare_mesh.models.nodes import Nodes
from flare_mesh.nn.mixer import build_mixer, is_ordered, mixer_name
from flare_mesh.nn.mixing_block import MixerBlock, MixingBlock
from flare_mesh.ops.space_curve import curve_order


class Backbone(BlockModel):
    r"""A pre-norm transformer around any mixing layer, for fair comparisons of these layers.

    Input and output networks and blocks are those of :class:`Transformer`, as in FLARE's comparison
    (arXiv 2508.12594): only the mixing layer differs between two of them.

    A layer that depends on the order of the nodes sees them along a Hilbert curve through each
    graph, see :func:`~flare_mesh.ops.space_curve.curve_order`: the result does not depend on the
    order in which the nodes are given, but on the position of the curve, and so on a rotation.

    Sizes and options without an entry are as in :class:`~flare_mesh.FLAREOperator`.

    Args:
        mixer: ``"flare"``, one of :data:`~flare_mesh.nn.mixer.MIXERS`, or a class of your own or
            its import path, see :class:`~flare_mesh.nn.mixer.Mixer`.
        mixer_options: Options of the mixing layer, as a dictionary.
        mlp_ratio: Width of the blocks' hidden layers over C.

    Shapes:
        As :meth:`FieldModel.forward`. ``weight`` makes the sums over the nodes quadratures.

    Raises:
        ValueError: If an option is unknown or a size does not fit.
    """

    NAME = "backbone"

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        hidden_channels: int = 64,
        num_layers: int = 8,
        heads: int = 8,
        mixer: str | type[nn.Module] = "flare",
        mixer_options: dict[str, Any] | None = None,
        mlp_ratio: float = 4.0,
        pos_dim: int = 3,
        norm: str = "layer",
        checkpointing: bool = False,
    ) -> None:
        options, c = {**locals(), "mixer": mixer_name(mixer) or "flare"}, hidden_channels

        def block() -> MixingBlock:
            layer = build_mixer(mixer, c, mixer_options, heads=heads)
            return MixerBlock(c, layer, mlp_ratio=mlp_ratio, norm=norm)

        super().__init__(options, block)
        self._ordered = is_ordered(mixer)

    def run_blocks(self, h: Tensor, nodes: Nodes) -> Tensor:
        if not self._ordered:
            return super().run_blocks(h, nodes)
        order = curve_order(nodes.pos, nodes.graphs.layout)
        weight = nodes.graphs.log_weight
        if weight is not None:
            weight = weight[order]
        graphs = nodes.graphs._replace(log_weight=weight)
        h = super().run_blocks(h[order], nodes._replace(graphs=graphs))
        return h.new_empty(h.shape).index_copy(0, order, h)
