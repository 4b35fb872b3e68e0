"""One FLARE layer: global mixing and a pointwise network, each with a residual."""

from torch import Tensor, nn

from flare_mesh.nn.flare_attention import FLAREAttention
from flare_mesh.nn.residual_mlp import ResidualMLP


class FLAREBlock(nn.Module):
    """x + Attention(LayerNorm(x)), then x + MLP(LayerNorm(x)) (arXiv 2508.12594).

    Args:
        channels: Channels C.
        ffn_layers: Residual hidden layers of the pointwise network.
        attention: Options of :class:`FLAREAttention` (heads, num_latents, kv_layers, ...).

    Shapes:
        As :class:`FLAREAttention`; LayerNorm normalises each node, not the graph.
    """

    def __init__(self, channels: int, *, ffn_layers: int = 3, **attention) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels)
        self.attention = FLAREAttention(channels, **attention)
        self.norm2 = nn.LayerNorm(channels)
        self.mlp = ResidualMLP(
            channels, channels, channels, ffn_layers, input_residual=True, output_residual=True
        )

    def reset_parameters(self) -> None:
        for module in (self.norm1, self.attention, self.norm2, self.mlp):
            module.reset_parameters()

    def forward(self, x: Tensor, **graphs: Tensor | None) -> Tensor:
        x = x + self.attention(self.norm1(x), **graphs)
        return x + self.mlp(self.norm2(x))
