"""An encoder with Fourier features of the coordinates."""

import math

import torch
from torch import Tensor, nn

from flare_mesh.nn.encoders.point_encoder import PointEncoder
from flare_mesh.nn.option_checks import check_at_least, check_positive
from flare_mesh.nn.residual_mlp import ResidualMLP


class FourierEncoder(PointEncoder):
    r"""Fourier features of the coordinates, then an MLP (Tancik et al. 2020, arXiv 2006.10739).

    .. math::
        \gamma(p) = [\cos(2 \pi B p), \sin(2 \pi B p)], \quad B_{ij} \sim N(0, \sigma^2), \qquad
        h = \mathrm{MLP}([p, x, \gamma(p)])

    An MLP of the coordinates alone learns fine detail late; :math:`\sigma` sets the length scale
    that it resolves from the start. The paper's input is :math:`\gamma` alone; here it has the
    coordinates too, so that smooth trends need no low frequency.

    Other arguments and shapes as :class:`PointEncoder`; ``ptr`` and ``edge_index`` are not used.

    Args:
        num_frequencies: Rows of B; each gives one cosine and one sine.
        sigma: Standard deviation of B, in cycles per unit length of ``pos``: resolves details of
            about 1 / sigma. Too large a value fits noise between the nodes.
        learned: Whether to train B (as Li et al. 2021, arXiv 2106.02795). Otherwise B is a buffer
            with the values that were drawn.

    Raises:
        ValueError: If sizes or shapes do not fit, or ``sigma`` is not a positive number.
    """

    pointwise = True
    _OPTIONS = ("num_frequencies", "sigma", "learned")
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
        check_at_least(self, 1, num_frequencies=num_frequencies)
        check_positive(self, sigma=sigma)
        self.num_frequencies, self.sigma, self.learned = num_frequencies, sigma, learned
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
        """Draw the frequencies, fixed ones too, and the parameters again."""
        nn.init.normal_(self.frequencies, std=self.sigma)
        self.mlp.reset_parameters()

    def embed(self, nodes: Tensor, pos: Tensor, ptr: Tensor | None, edges: Tensor | None) -> Tensor:
        # In half precision, a phase of many periods has no digit left for the fraction of one.
        with torch.autocast(pos.device.type, enabled=False):
            phase = 2 * math.pi * pos @ self.frequencies.t()
        return self.mlp(torch.cat([nodes, phase.cos(), phase.sin()], dim=-1))
