"""An encoder with Fourier features of the coordinates."""

import math

import torch
from torch import Tensor, nn

from flare_mesh.nn.encoders.point_encoder import PointEncoder
from flare_mesh.nn.residual_mlp import ResidualMLP


class FourierEncoder(PointEncoder):
    r"""Fourier features of the coordinates, then an MLP (Tancik et al. 2020, arXiv 2006.10739).

    .. math::
        \gamma(p) = [\cos(2 \pi B p), \sin(2 \pi B p)], \quad B_{ij} \sim N(0, \sigma^2), \qquad
        h = \mathrm{MLP}([p, x, \gamma(p)])

    An MLP of plain coordinates learns fine detail late; these features set the length scale
    that it sees from the start. The paper feeds :math:`\gamma` alone; here the coordinates stay
    beside it, so that smooth trends need no low frequency.

    Args:
        in_channels: Features of each node beside its coordinates; 0 for none.
        hidden_channels: Channels of the code.
        pos_dim: Dimension of the coordinates.
        num_frequencies: Rows of B; each gives one cosine and one sine.
        sigma: Standard deviation of B, in cycles per unit length of ``pos``: details of about
            1 / sigma become visible. Too large a value fits noise between the nodes.
        learned: Trains B (as Li et al. 2021, arXiv 2106.02795). Otherwise B stays as it was
            drawn, and is saved as a buffer.

    Shapes:
        As :class:`PointEncoder`; ``ptr`` and ``edge_index`` are not used.

    Raises:
        ValueError: If sizes or shapes do not fit, or ``sigma`` is not a positive number.
    """

    pointwise = True
    frequencies: Tensor

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        pos_dim: int,
        *,
        num_frequencies: int = 32,
        sigma: float = 1.0,
        learned: bool = False,
    ) -> None:
        super().__init__(in_channels, hidden_channels, pos_dim)
        if num_frequencies < 1:
            raise ValueError(
                f"FourierEncoder: expected 'num_frequencies' >= 1 (got {num_frequencies})"
            )
        if not 0 < sigma < math.inf:
            raise ValueError(f"FourierEncoder: expected 'sigma' to be positive (got {sigma})")
        self.sigma = sigma
        frequencies = torch.empty(num_frequencies, pos_dim)
        if learned:
            self.frequencies = nn.Parameter(frequencies)
        else:
            self.register_buffer("frequencies", frequencies)
        c = hidden_channels
        features = pos_dim + in_channels + 2 * num_frequencies
        self.mlp = ResidualMLP(features, c, c, 2, output_residual=True)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws the frequencies, fixed ones too, and the parameters anew."""
        nn.init.normal_(self.frequencies, std=self.sigma)
        self.mlp.reset_parameters()

    def forward(
        self,
        x: Tensor | None,
        pos: Tensor,
        *,
        ptr: Tensor | None = None,
        edge_index: Tensor | None = None,
    ) -> Tensor:
        nodes = self._nodes(x, pos)
        # In half precision, a phase of many turns keeps no digit of its fraction of a turn.
        with torch.autocast(pos.device.type, enabled=False):
            phase = 2 * math.pi * pos @ self.frequencies.t()
        return self.mlp(torch.cat([nodes, phase.cos(), phase.sin()], dim=-1))

    def _options(self) -> dict[str, object]:
        return {
            "num_frequencies": len(self.frequencies),
            "sigma": self.sigma,
            "learned": isinstance(self.frequencies, nn.Parameter),
        }
