"""The encoder of the FLARE paper."""

from torch import Tensor

from flare_mesh.nn.encoders.point_encoder import PointEncoder
from flare_mesh.nn.residual_mlp import ResidualMLP


class MLPEncoder(PointEncoder):
    """A :class:`~flare_mesh.nn.ResidualMLP` of [pos, x] (FLARE, arXiv 2508.12594).

    The coordinates have no positional encoding, as in the paper's code; only the output has a
    residual.

    Other arguments and shapes as :class:`PointEncoder`; ``ptr`` and ``edge_index`` are not used.

    Args:
        num_layers: Residual hidden layers.
        act: Activation, see :class:`~flare_mesh.nn.ResidualMLP`.

    Raises:
        ValueError: If sizes or shapes do not fit.
    """

    pointwise = True

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        pos_dim: int,
        *,
        num_layers: int = 2,
        act: str = "gelu",
    ) -> None:
        super().__init__(in_channels, hidden_channels, pos_dim)
        features, c = pos_dim + in_channels, hidden_channels
        self.mlp = ResidualMLP(features, c, c, num_layers, output_residual=True, act=act)

    def reset_parameters(self) -> None:
        self.mlp.reset_parameters()

    def embed(self, nodes: Tensor, pos: Tensor, ptr: Tensor | None, edges: Tensor | None) -> Tensor:
        return self.mlp(nodes)
