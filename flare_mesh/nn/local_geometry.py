"""Features of the shape around each node."""

import torch
from torch import Tensor, nn

from flare_mesh.nn.option_checks import check_at_least, check_positive


class LocalGeometry(nn.Module):
    r"""A network of the coordinates of a node and its neighbours (arXiv 2512.20399).

    .. math::
        f_i = \tanh(\mathrm{MLP}([p_i, p_{j_1}, \dots, p_{j_{K-1}}]))

    with the nearest neighbours :math:`j_k` within the radius, the nearest first, and 0 in place of
    those that a node does not have. The MLP has two hidden layers of F and F / 2 channels and
    exact GELU.

    Args:
        pos_dim: Dimension of the coordinates.
        radius: Largest distance of a neighbour.
        neighbors: Points K, the node itself included.
        channels: Features F.

    Shapes:
        pos [N, pos_dim]; positions [N, M, pos_dim] and distances [N, M] of
        :func:`~flare_mesh.ops.neighbor_table.neighbor_table`, M >= K - 1; output [N, F].

    Raises:
        ValueError: If a size is too small or the radius is not positive.
    """

    def __init__(self, pos_dim: int, radius: float, neighbors: int, channels: int) -> None:
        super().__init__()
        check_positive(self, radius=radius)
        check_at_least(self, 1, neighbors=neighbors)
        check_at_least(self, 2, channels=channels)
        self.radius, self.neighbors = radius, neighbors
        self.mlp = nn.Sequential(
            nn.Linear(pos_dim * neighbors, channels),
            nn.GELU(),
            nn.Linear(channels, channels // 2),
            nn.GELU(),
            nn.Linear(channels // 2, channels),
        )

    def forward(self, pos: Tensor, positions: Tensor, distances: Tensor) -> Tensor:
        near = slice(self.neighbors - 1)
        within = distances[:, near, None] <= self.radius
        around = torch.where(within, positions[:, near], 0.0)
        return self.mlp(torch.cat([pos, around.flatten(1)], dim=-1)).tanh()
