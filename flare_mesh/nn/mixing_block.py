"""A pre-norm transformer layer around any mixing of the nodes."""

from typing import Any

from torch import Tensor, nn

from flare_mesh.nn.graphs import Graphs
from flare_mesh.nn.option_checks import hidden_width
from flare_mesh.nn.resolver import build_norm


class MixingBlock(nn.Module):
    """x + Attention(Norm(x)), then x + MLP(Norm(x)) with one hidden layer and exact GELU.

    The hidden layer is ``mlp_ratio`` times as wide as C = ``channels``; ``attention`` takes nodes
    [N, C], their :class:`~flare_mesh.nn.graphs.Graphs`, and what all blocks have in common.

    Shapes:
        x [N, C], output [N, C].

    Raises:
        ValueError: If the hidden layer would have no channel, or ``norm`` is unknown.
    """

    def __init__(
        self, channels: int, attention: nn.Module, *, mlp_ratio: float, norm: str = "layer"
    ) -> None:
        super().__init__()
        hidden = hidden_width(self, channels, mlp_ratio)
        self.norm1 = build_norm(norm, channels)
        self.attention = attention
        self.norm2 = build_norm(norm, channels)
        self.mlp = nn.Sequential(
            nn.Linear(channels, hidden), nn.GELU(), nn.Linear(hidden, channels)
        )

    def forward(self, x: Tensor, graphs: Graphs, *shared: Any) -> Tensor:
        x = x + self.attend(self.norm1(x), graphs, *shared)
        return x + self.mlp(self.norm2(x))

    def attend(self, x: Tensor, graphs: Graphs, *shared: Any) -> Tensor:
        """Output of the mixing layer."""
        return self.attention(x, graphs, *shared)
