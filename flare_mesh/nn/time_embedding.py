"""The time of a case, as a vector that is added to its nodes."""

import torch
from torch import Tensor, nn

from flare_mesh.nn.global_features import graph_means
from flare_mesh.nn.graphs import Graphs
from flare_mesh.ops.layout import graph_of_nodes
from flare_mesh.ops.precision import wide

_LONGEST = 10_000.0  # wavelength over 2 pi


class TimeEmbedding(nn.Module):
    r"""A network of waves of the time, as Transolver and LaMO have (arXiv 2402.02366, 2505.19105).

    .. math::
        W_2\, \mathrm{SiLU}(W_1 [\cos(\omega_0 t), \cos(\omega_1 t), \dots, \sin(\omega_0 t), \dots]
        + b_1) + b_2, \quad \omega_i = 10000^{-2 i / C}

    Args:
        channels: Channels C.

    Shapes:
        time [N, 1], the same at all nodes of a graph, otherwise its mean is taken; output [N, C].
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.mlp = nn.Sequential(
            nn.Linear(channels, channels), nn.SiLU(), nn.Linear(channels, channels)
        )

    def forward(self, time: Tensor, graphs: Graphs) -> Tensor:
        vectors = self.mlp(self._waves(graph_means(time, graphs)).to(time.dtype))
        return vectors[graph_of_nodes(graphs.layout, len(time))]

    def _waves(self, time: Tensor) -> Tensor:
        """Cosines and sines [B, C] of times [B, 1]; the last channel of an odd number is 0."""
        half, time = self.channels // 2, wide(time)
        number = torch.arange(half, device=time.device, dtype=time.dtype)
        angles = time * _LONGEST ** (-number / max(half, 1))
        rest = time.new_zeros(len(time), self.channels - 2 * half)
        return torch.cat([angles.cos(), angles.sin(), rest], dim=-1)
