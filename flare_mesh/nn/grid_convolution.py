"""Convolution of features on the nodes of regular grids."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

_CONVOLUTIONS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}


class GridConvolution(nn.Module):
    """Convolution over 3 nodes along each axis, with zeros around the grid.

    Args:
        channels: Channels C.
        shape: Nodes along each of 1 to 3 axes.

    Shapes:
        x [B * prod(shape), C], grid after grid in row-major order; output of the same shape.
    """

    def __init__(self, channels: int, shape: Sequence[int]) -> None:
        super().__init__()
        self.shape = tuple(shape)
        self.convolution = _CONVOLUTIONS[len(shape)](channels, channels, 3, padding=1)

    def reset_parameters(self) -> None:
        """Weights as torch draws them."""
        self.convolution.reset_parameters()

    def forward(self, x: Tensor) -> Tensor:
        grids = x.unflatten(0, (-1, *self.shape)) if len(x) else x.view(0, *self.shape, x.shape[1])
        grids = grids.movedim(-1, 1)
        if torch.is_grad_enabled() and not x.is_cuda:
            # Channels in the last place are faster forward, but slower in forward and backward.
            grids = grids.contiguous()
        return self.convolution(grids).movedim(1, -1).flatten(0, -2)
