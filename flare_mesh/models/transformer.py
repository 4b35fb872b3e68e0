"""The softmax transformer, a baseline of FLARE."""

from flare_mesh.models.block_model import BlockModel
from flare_mesh.nn.mixers.self_attention import SelfAttention
from flare_mesh.nn.mixing_block import MixingBlock


class Transformer(BlockModel):
    r"""Pre-norm transformer in which every node attends to all of its graph (arXiv 1706.03762).

    As in FLARE's comparison (arXiv 2508.12594), between the input and output networks of
    :class:`~flare_mesh.FLAREOperator`. There is no positional encoding: coordinates are inputs.
    It costs O(N^2 C), with memory of O(N C) if neither weights nor graphs of slightly unequal
    size need a mask; see :class:`~flare_mesh.nn.mixers.self_attention.SelfAttention`.

    Sizes and options without an entry are as in :class:`~flare_mesh.FLAREOperator`.

    Args:
        mlp_ratio: Width of the blocks' hidden layers over C.

    Shapes:
        As :meth:`FieldModel.forward`. The logarithm of ``weight`` is added to the scores: the
        attention's sums become quadratures.

    Raises:
        ValueError: If an option is unknown or a size does not fit.
    """

    NAME = "transformer"

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        hidden_channels: int = 80,
        num_layers: int = 8,
        heads: int = 5,
        mlp_ratio: float = 4.0,
        pos_dim: int = 3,
        norm: str = "layer",
        checkpointing: bool = False,
    ) -> None:
        options, c = {**locals()}, hidden_channels
        super().__init__(
            options,
            lambda: MixingBlock(c, SelfAttention(c, heads), mlp_ratio=mlp_ratio, norm=norm),
        )
