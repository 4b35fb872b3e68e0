"""A pre-norm transformer layer around any mixing of the nodes."""

from typing import Any

from torch import Tensor, nn

from flare_mesh.nn.graphs import Graphs
from flare_mesh.nn.option_checks import hidden_width
from flare_mesh.nn.residual_mlp import ResidualMLP
from flare_mesh.nn.resolver import build_norm


class MixingBlock(nn.Module):
    """x + Attention(Norm(x)), then x + MLP(Norm(x)).

    The MLP has one hidden layer and exact GELU. With ``ffn_layers`` it is a :class:`ResidualMLP`
    with as many residual hidden layers, as in :class:`FLAREBlock`. Hidden layers are ``mlp_ratio``
    times as wide as C = ``channels``; ``attention`` takes nodes [N, C], their
    :class:`~flare_mesh.nn.graphs.Graphs`, and what all blocks have in common. In training, a share
    ``dropout`` of the values that each branch adds is set to 0.

    Shapes:
        x [N, C], output [N, C].

    Raises:
        ValueError: If the hidden layer would have no channel, or ``norm`` is unknown.
    """

    def __init__(
        self,
        channels: int,
        attention: nn.Module,
        *,
        mlp_ratio: float,
        norm: str = "layer",
        ffn_layers: int | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        hidden = hidden_width(self, channels, mlp_ratio)
        self.norm1 = build_norm(norm, channels)
        self.attention = attention
        self.norm2 = build_norm(norm, channels)
        if ffn_layers is None:
            self.mlp = nn.Sequential(
                nn.Linear(channels, hidden), nn.GELU(), nn.Linear(hidden, channels)
            )
        else:
            self.mlp = ResidualMLP(
                channels, hidden, channels, ffn_layers, input_residual=True, output_residual=True
            )
        self.drop = nn.Dropout(dropout) if dropout else nn.Identity()

    def forward(self, x: Tensor, graphs: Graphs, *shared: Any) -> Tensor:
        x = x + self.drop(self.attend(self.norm1(x), graphs, *shared))
        return x + self.drop(self.mlp(self.norm2(x)))

    def attend(self, x: Tensor, graphs: Graphs, *shared: Any) -> Tensor:
        """Output of the mixing layer."""
        return self.attention(x, graphs, *shared)


class MixerBlock(MixingBlock):
    """A :class:`MixingBlock` around a layer of :func:`~flare_mesh.nn.mixer.build_mixer`."""

    def attend(self, x: Tensor, graphs: Graphs, *shared: Any) -> Tensor:
        return self.attention.mix(x, graphs, *shared)  # pyright: ignore[reportCallIssue]
