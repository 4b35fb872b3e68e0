"""A layer of GNOT."""

from torch import Tensor, nn

from flare_mesh.nn.init import init_linear
from flare_mesh.nn.linear_attention import NormalizedLinearAttention
from flare_mesh.nn.option_checks import hidden_width
from flare_mesh.nn.resolver import build_activation
from flare_mesh.nn.soft_experts import SoftExperts
from flare_mesh.ops.graph_products import GraphProducts


class GNOTBlock(nn.Module):
    r"""Cross-attention, experts, self-attention, experts (GNOT, arXiv 2302.14376).

    .. math::
        x &\leftarrow x + \mathrm{Cross}(\mathrm{Norm}(x), \mathrm{Norm}(y)), &
        x &\leftarrow x + \mathrm{Norm}(\mathrm{Experts}_1(x, g)) \\
        x &\leftarrow x + \mathrm{Self}(\mathrm{Norm}(x)), &
        x &\leftarrow x + \mathrm{Norm}(\mathrm{Experts}_2(x, g))

    Both expert layers have the gates :math:`g = \mathrm{softmax}(\mathrm{MLP}(pos))`.

    The hidden layers of experts and gates are ``mlp_ratio`` times as wide as C = ``channels``;
    ``heads`` divides ``channels``.

    Shapes:
        x, y [N, C]; pos [N, pos_dim]; weight [N] or None; output [N, C].

    Raises:
        ValueError: If the sizes do not fit together.
    """

    def __init__(
        self,
        channels: int,
        pos_dim: int,
        *,
        heads: int = 8,
        num_experts: int = 3,
        mlp_ratio: float = 2.0,
        act: str = "gelu",
    ) -> None:
        super().__init__()
        c, width = channels, hidden_width(self, channels, mlp_ratio)
        self.query_norm, self.input_norm = nn.LayerNorm(c), nn.LayerNorm(c)
        self.cross = NormalizedLinearAttention(c, heads)
        self.experts1 = SoftExperts(c, width, num_experts, act=act)
        self.norm1, self.self_norm = nn.LayerNorm(c), nn.LayerNorm(c)
        self.self_attention = NormalizedLinearAttention(c, heads)
        self.experts2 = SoftExperts(c, width, num_experts, act=act)
        self.norm2 = nn.LayerNorm(c)
        self.gates = nn.Sequential(
            nn.Linear(pos_dim, width),
            build_activation(act),
            nn.Linear(width, width),
            build_activation(act),
            nn.Linear(width, num_experts),
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Linear weights from N(0, 0.02), biases zero."""
        init_linear(self.gates)
        for module in self.children():
            if module is not self.gates:
                module.reset_parameters()  # pyright: ignore[reportCallIssue]

    def forward(
        self,
        x: Tensor,
        y: Tensor,
        pos: Tensor,
        products: GraphProducts,
        weight: Tensor | None = None,
    ) -> Tensor:
        gates = self.gates(pos).softmax(-1)
        x = x + self.cross(self.query_norm(x), self.input_norm(y), products, weight)
        x = x + self.norm1(self.experts1(x, gates))
        n = self.self_norm(x)
        x = x + self.self_attention(n, n, products, weight)
        return x + self.norm2(self.experts2(x, gates))
