"""A transformer layer on latents."""

from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from flare_mesh.nn.init import init_linear
from flare_mesh.nn.option_checks import check_heads, hidden_width
from flare_mesh.nn.residual_mlp import ResidualMLP
from flare_mesh.nn.resolver import build_norm


class LatentBlock(nn.Module):
    """x + Attention(Norm(x)), then x + MLP(Norm(x)), with full attention among the latents.

    Args:
        channels: Channels C.
        heads: Attention heads; divides ``channels``.
        mlp_ratio: Width of the MLP's hidden layer over C.
        bias: Whether the projections to queries, keys and values have a bias.
        act: Activation, see :class:`ResidualMLP`.

    Shapes:
        input and output [B, M, C].

    Raises:
        ValueError: If the sizes do not fit together.
    """

    def __init__(
        self,
        channels: int,
        heads: int = 8,
        *,
        mlp_ratio: float = 4.0,
        bias: bool = False,
        act: str = "gelu",
    ) -> None:
        super().__init__()
        c = channels
        check_heads(self, c, heads)
        self.heads = heads
        self.norm1 = build_norm("layer", c)
        self.query_key_value = nn.Linear(c, 3 * c, bias=bias)
        self.out = nn.Linear(c, c)
        self.norm2 = build_norm("layer", c)
        self.mlp = ResidualMLP(c, hidden_width(self, c, mlp_ratio), c, 0, act=act)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Linear weights from N(0, 0.02), biases zero."""
        for module in (self.norm1, self.norm2, self.mlp, self.query_key_value, self.out):
            init_linear(module)

    def forward(self, x: Tensor) -> Tensor:
        qkv = self.query_key_value(self.norm1(x)).unflatten(-1, (3, self.heads, -1))
        query, key, value = qkv.permute(2, 0, 3, 1, 4)  # [B, H, M, D] each
        mixed = scaled_dot_product_attention(query, key, value)
        x = x + self.out(mixed.transpose(1, 2).flatten(-2))
        return x + self.mlp(self.norm2(x))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.out.in_features}, heads={self.heads})"
