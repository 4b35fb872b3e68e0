"""The softmax transformer, a baseline of FLARE."""

from torch import Tensor, nn

from flare_mesh.models.field_model import FieldModel
from flare_mesh.models.nodes import Nodes
from flare_mesh.nn import ResidualMLP
from flare_mesh.nn.init import init_linear
from flare_mesh.nn.mixing_block import MixingBlock
from flare_mesh.nn.resolver import build_norm
from flare_mesh.nn.self_attention import SelfAttention


class Transformer(FieldModel):
    r"""Pre-norm transformer in which every node attends to all of its graph (arXiv 1706.03762).

    As in FLARE's comparison (arXiv 2508.12594), between the input and output networks of
    :class:`~flare_mesh.FLAREOperator`. There is no positional encoding: coordinates are inputs.
    It costs O(N^2 C), with memory of O(N C) if neither weights nor graphs of slightly unequal
    size need a mask; see :class:`~flare_mesh.nn.self_attention.SelfAttention`.

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
        super().__init__(locals())
        c = hidden_channels
        self.embed = ResidualMLP(pos_dim + in_channels, c, c, output_residual=True)
        self.blocks = nn.ModuleList(
            MixingBlock(c, SelfAttention(c, heads), mlp_ratio=mlp_ratio, norm=norm)
            for _ in range(num_layers)
        )
        self.norm = build_norm(norm, c)
        self.head = ResidualMLP(c, c, out_channels, input_residual=True)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Linear weights from N(0, 0.02), biases 0, norms the identity."""
        init_linear(self)

    def evaluate(self, nodes: Nodes) -> Tensor:
        h = self.embed(nodes.features())
        for block in self.blocks:
            h = self.run_block(block, h, nodes.graphs)
        return self.head(self.norm(h))
