"""Projections of nodes to slices, which several layers can share."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from flare_mesh.nn.grid_convolution import GridConvolution
from flare_mesh.nn.option_checks import check_at_least, check_heads
from flare_mesh.nn.slices import TEMPERATURES, slice_scores
from flare_mesh.ops.precision import wide


class Slicing(nn.Module):
    r"""Values of the nodes, and their shares in the slices (LaMO, arXiv 2505.19105).

    In each head, with :math:`p_n` and :math:`v_n` linear in the input of a node,

    .. math::
        S_{ng} = \mathrm{softmax}_G((W_s p_n + b_s) / \min(\max(\tau, 0.1), 5))

    :math:`W_s` is common to the heads; each has its own temperature :math:`\tau`, initially 0.5.
    Departure: the authors limit the temperature on grids only, and elsewhere it may become 0.

    Args:
        channels: Channels C.
        heads: Heads H; divides C.
        num_slices: Slices G of each head.
        grid_shape: Nodes along each axis of a regular grid, for p and v by convolution; None for
            other meshes.

    Shapes:
        x [N, C], with ``grid_shape`` grid after grid in row-major order; output p and v, both
        [N, H, C / H].

    Raises:
        ValueError: If the sizes do not fit together.
    """

    def __init__(
        self, channels: int, heads: int, num_slices: int, grid_shape: Sequence[int] | None = None
    ) -> None:
        super().__init__()
        check_heads(self, channels, heads)
        check_at_least(self, 1, num_slices=num_slices)
        self.heads = heads
        if grid_shape is None:
            self.project, self.project_value = (nn.Linear(channels, channels) for _ in range(2))
        else:
            self.project, self.project_value = (
                GridConvolution(channels, grid_shape) for _ in range(2)
            )
        self.slices = nn.Linear(channels // heads, num_slices)
        self.temperature = nn.Parameter(torch.empty(heads, 1, 1))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Weights of slices orthogonal, other layers as torch draws them."""
        for layer in (self.project, self.project_value, self.slices):
            layer.reset_parameters()
        nn.init.orthogonal_(self.slices.weight)
        nn.init.constant_(self.temperature, 0.5)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        projected, values = self.project(x), self.project_value(x)
        return projected.unflatten(-1, (self.heads, -1)), values.unflatten(-1, (self.heads, -1))

    def shares(self, projected: Tensor) -> Tensor:
        """Shares S [B, H, L, G] of the slices at projected nodes [B, H, L, C / H]."""
        temperatures = wide(self.temperature).clamp(*TEMPERATURES)
        return torch.softmax(slice_scores(projected, self.slices, temperatures), dim=-1)
